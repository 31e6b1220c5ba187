"""What is worth looking at in the evidence."""

from collections.abc import Mapping
from typing import Any

import polars as pl

from curec_assets.display.charts import reliability_chart
from curec_assets.display.tables import markdown_table

_EXAMPLES = 5
_MEASURES = ("AUC", "LogLoss", "GAUC", "ECE")


def numbers(rows: pl.DataFrame, metrics: Mapping[str, Any]) -> dict[str, Any]:
    """How many numbers, and the seconds of each kind of evidence."""
    return {"numbers": rows.width - 1, "seconds": metrics["seconds"]}


def model(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Reliability picture, what the model is worth, and what each kind of fact contributes."""
    worth = {name: metrics[name] for name in ("forward", "validation", "test")}
    for part, splits in metrics["parts"].items():
        worth |= {f"{part} alone, {split}": each for split, each in splits.items()}
    contributions = metrics["contributions"]
    return {
        "reliability": reliability_chart(
            metrics["reliability"], title="Evidence model: predicted and true share of likes"
        ),
        "worth": markdown_table(
            pl.DataFrame(
                [
                    {"events": name, **{measure: each[measure] for measure in _MEASURES}}
                    for name, each in worth.items()
                ]
            )
        ),
        "contributions": markdown_table(
            pl.DataFrame(
                {
                    "kind of fact": list(contributions),
                    "mean |contribution|": list(contributions.values()),
                }
            ).sort("mean |contribution|", descending=True)
        ),
        "validation_ece": metrics["validation"]["ECE"],
        "weights": metrics["weights"],
    }


def tracked_model(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Measure/events → value."""
    return {
        f"{measure}/{name}": metrics[name][measure]
        for name in ("forward", "validation", "test")
        for measure in _MEASURES
    }


def evidence(rows: pl.DataFrame, events: pl.DataFrame, catalogue: pl.DataFrame) -> dict[str, Any]:
    """Coverage, levels, kinds of facts, and the latest events that have any, with titles."""
    facts = rows.select("event_id", "facts").explode("facts").drop_nulls().unnest("facts")
    titles = dict(catalogue.select("item_id", "title").iter_rows())
    latest = (
        rows.filter(pl.col("facts").list.len() > 0)
        .tail(_EXAMPLES)
        .join(events.select("event_id", "item_id"), on="event_id", maintain_order="left")
    )
    return {
        "with_probability": _share(rows["probability"].is_not_null()),
        "with_facts": _share(rows["facts"].list.len() > 0),
        "levels": {str(level): count for level, count in _counts(rows["level"])},
        "kinds": {str(kind): count for kind, count in _counts(facts["kind"])},
        "examples": pl.DataFrame(
            [
                {
                    "candidate": titles[row["item_id"]],
                    "probability": row["probability"],
                    "facts": "; ".join(_said(fact, titles) for fact in row["facts"]),
                }
                for row in latest.rows(named=True)
            ],
            schema={"candidate": pl.String, "probability": pl.Float64, "facts": pl.String},
        ),
    }


def _said(fact: Mapping[str, Any], titles: Mapping[str, str]) -> str:
    value = fact["value"]
    named = titles.get(value, value) if fact["kind"] == "related" else value
    words = [fact["kind"], *([named] if named else []), f"{fact['contribution']:+.2f}"]
    if fact["of"] is not None:
        words.append(f"({fact['count']} of {fact['of']})")
    return " ".join(words)


def _share(chosen: pl.Series) -> float:
    return float(chosen.sum()) / max(len(chosen), 1)


def _counts(values: pl.Series) -> list[tuple[Any, int]]:
    counted = values.drop_nulls().value_counts().sort(values.name)
    return [(value, count) for value, count in counted.iter_rows()]
