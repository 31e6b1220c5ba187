"""The quality report: one HTML page that needs nothing else, not even a network."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from curec_assets.display.charts import interval_chart, line_chart
from curec_assets.evaluation.protocol import SLICES
from curec_assets.evaluation.reason_quality import Measured
from curec_assets.reports.outcome import numbers_behind
from curec_assets.reward.gate import Gate

_TEMPLATE = "quality.html.j2"
_USERS_SHOWN = 12
_IMAGE = re.compile(r"^!\[(?P<alt>.*)\]\((?P<source>data:image/[^)]+)\)$", re.DOTALL)


@dataclass(frozen=True)
class Report:
    """Everything that the page shows."""

    profile: str
    evaluation: pl.DataFrame
    """`recommender_evaluation`."""
    gate: Gate
    reward_curve: Sequence[float]
    """Mean GRPO reward per step."""
    quality: Sequence[Measured]
    """Empty when no reason was written."""
    coverage: Mapping[str, tuple[int, int]]
    """Split → events with a reason, events."""
    recommendations: pl.DataFrame
    lineage: pl.DataFrame
    """One row per asset: `asset, fingerprint, data_version, code_version`."""


def render(report: Report) -> str:
    """The page as HTML. Text out of the data is escaped."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = _number
    environment.filters["numbers_behind"] = numbers_behind
    return environment.get_template(_TEMPLATE).render(
        report=report,
        slices=[_Slice.make(*each, report.evaluation) for each in SLICES.items()],
        auc_chart=_auc_chart(report.evaluation),
        gate_chart=_gate_chart(report.gate),
        reward_chart=_reward_chart(report.reward_curve),
        users=_users(report.recommendations),
        lineage=report.lineage.to_dicts(),
    )


@dataclass(frozen=True)
class _Slice:
    """A slice's two tables: recommenders, and paired differences."""

    name: str
    meaning: str
    metrics: list[str]
    levels: list[tuple[str, list[dict[str, object] | None]]]
    differences: list[tuple[str, list[dict[str, object] | None]]]
    sizes: list[str]
    """Per metric: events and users it was measured on."""

    @classmethod
    def make(cls, name: str, meaning: str, evaluation: pl.DataFrame) -> "_Slice":
        own = evaluation.filter(pl.col("slice") == name)
        metrics = own["metric"].unique(maintain_order=True).to_list()
        cells = {(row["recommender"], row["metric"]): row for row in own.iter_rows(named=True)}
        table = [
            (recommender, [cells.get((recommender, metric)) for metric in metrics])
            for recommender in own["recommender"].unique(maintain_order=True)
        ]
        sizes = own.group_by("metric", maintain_order=True).agg(pl.col("n_events", "n_users").max())
        return cls(
            name,
            meaning,
            metrics,
            [row for row in table if " - " not in row[0]],
            [row for row in table if " - " in row[0]],
            [f"{events} events, {users} users" for _, events, users in sizes.iter_rows()],
        )


def _auc_chart(evaluation: pl.DataFrame) -> tuple[str, str]:
    rows = evaluation.filter(
        (pl.col("slice") == "all")
        & (pl.col("metric") == "AUC")
        & ~pl.col("recommender").str.contains(" - ", literal=True)
    ).drop_nulls("value")
    bars = {r["recommender"]: (r["value"], r["low"], r["high"]) for r in rows.iter_rows(named=True)}
    return (
        _image(interval_chart(bars, title="AUC on test events", y_label="AUC"))
        if bars
        else ("", "")
    )


def _gate_chart(gate: Gate) -> tuple[str, str]:
    bars = {
        f"{reader}: {name}": (e.value, e.low, e.high)
        for reader, of_reader in (("recommender", gate.recommender), ("plain", gate.reader))
        for name, e in (
            ("own", of_reader.reason),
            ("null", of_reader.null),
            ("another's", of_reader.shuffled),
        )
    }
    return _image(interval_chart(bars, title="The two readers on validation", y_label="AUC"))


def _reward_chart(rewards: Sequence[float]) -> tuple[str, str]:
    return _image(
        line_chart(
            {"reward": rewards},
            title="Mean reward of sampled reasons",
            x_label="step",
            y_label="reward",
        )
    )


def _image(markdown: str) -> tuple[str, str]:
    """(data URI, alternative text) of a markdown image."""
    found = _IMAGE.match(markdown)
    return (found["source"], found["alt"]) if found else ("", "")


def _users(recommendations: pl.DataFrame) -> list[tuple[str, list[dict[str, object]]]]:
    users = recommendations["user_id"].unique(maintain_order=True).to_list()[:_USERS_SHOWN]
    return [
        (user, recommendations.filter(pl.col("user_id") == user).sort("rank").to_dicts())
        for user in users
    ]


def _number(value: float) -> str:
    """Four significant places, minus as a minus sign."""
    return f"{value:.4f}".replace("-", "\N{MINUS SIGN}")
