"""The outcome of a run, as text for a terminal: read from what is stored, never recomputed."""

from collections.abc import Iterator, Mapping, Sequence
from textwrap import fill
from typing import Any

import polars as pl

from resources.storage.manifest import Manifest
from resources.storage.model_store import ModelStore
from resources.storage.warehouse import Warehouse

_METRICS_SHOWN = ("AUC", "LogLoss", "NDCG@10")
_ON_COVERED = ("id_text", "id_text_reason", "numbers", "numbers_reason", "whole")
_USERS_SHOWN = 5
_ITEMS_SHOWN = 3
_WIDTH = 96


def outcome(warehouse: Warehouse, store: ModelStore, assets: Sequence[str]) -> str:
    """What came out, what it took, and where to look further.

    `assets`: names of all assets, for what each took.
    Raises `ArtifactError` when something has not been materialised yet.
    """
    sections = {
        **findings(warehouse, store),
        "Where the time went": _time_shares(warehouse, store, assets),
        "Look further": _pointers(store),
    }
    return titled(sections)


def findings(warehouse: Warehouse, store: ModelStore) -> dict[str, str]:
    """By title: evaluation, gate, reward curve, some recommendations."""
    return {
        "Evaluation on test events (95 % interval over users)": evaluation_text(warehouse),
        "Reward model: does a reason help to tell what is liked?": _gate(store),
        "Reinforcement learning (GRPO)": _reward_curve(store),
        "Recommendations (probability of a like; the order is the learned ranker's)": (
            _recommendations(warehouse)
        ),
    }


def titled(sections: Mapping[str, str]) -> str:
    """One text of `findings` and their like."""
    return "\n\n".join(f"{title}\n{'-' * len(title)}\n{text}" for title, text in sections.items())


def text_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns padded to their widest cell; the first to the left, the others to the right."""
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in [header, *rows]
    )


def evaluation_text(warehouse: Warehouse) -> str:
    """The evaluation table, and on how many test events a reason exists at all.

    A metric that is not defined (AUC where all events have one outcome) is shown as such.
    """
    shown = (pl.col("slice") == "all") & pl.col("metric").is_in(_METRICS_SHOWN)
    rows = warehouse.read("recommender_evaluation").filter(shown).drop_nulls("value")
    cells = {
        (row["recommender"], row["metric"]): "{value:.3f} [{low:.3f}, {high:.3f}]".format(**row)
        for row in rows.iter_rows(named=True)
    }
    names = rows["recommender"].unique(maintain_order=True).to_list()
    table = [[name, *(cells.get((name, m), "-") for m in _METRICS_SHOWN)] for name in names]
    return f"{text_table(['recommender', *_METRICS_SHOWN], table)}\n\n{_coverage(warehouse)}"


def _coverage(warehouse: Warehouse) -> str:
    """On how many test events a reason exists at all, and the variants on just these."""
    aucs = warehouse.read("recommender_evaluation").filter(pl.col("metric") == "AUC")
    total = max(aucs.filter(slice="all")["n_events"].to_list(), default=0)
    covered = aucs.filter(slice="with_reason").filter(pl.col("recommender").is_in(_ON_COVERED))
    count = max(covered["n_events"].to_list(), default=0)
    defined = covered.drop_nulls("value").select("recommender", "value", "low", "high")
    on_these = "; ".join(
        f"{name} {value:.3f} [{low:.3f}, {high:.3f}]" for name, value, low, high in defined.rows()
    )
    return f"{count} of {total} test events have a reason.\n" + fill(
        f"AUC on these: {on_these or 'undefined, too few of them'}", _WIDTH
    )


def _gate(store: ModelStore) -> str:
    from curec_assets.reward.gate import stored_gate

    return fill(f"gate {stored_gate(store.current('reward_model').manifest)}", _WIDTH)


def _reward_curve(store: ModelStore) -> str:
    rewards: Sequence[float] = store.current("reason_policy").manifest.metrics["reward"]
    return (
        f"mean reward of the sampled reasons: first step {rewards[0]:+.3f}, "
        f"last step {rewards[-1]:+.3f}, {len(rewards)} steps"
    )


def _time_shares(warehouse: Warehouse, store: ModelStore, assets: Sequence[str]) -> str:
    manifests = _manifests(warehouse, store, assets)
    seconds = {manifest.asset: manifest.seconds or 0.0 for manifest in manifests}
    total = sum(seconds.values()) or 1.0
    costly = sorted(seconds.items(), key=lambda item: -item[1])
    rows = [[name, f"{spent:.1f}", f"{spent / total:.1%}"] for name, spent in costly]
    rows.append(["all assets' own work", f"{total:.1f}", ""])
    return text_table(["asset", "seconds", "share"], rows)


def _manifests(
    warehouse: Warehouse, store: ModelStore, assets: Sequence[str]
) -> Iterator[Manifest]:
    tables = {manifest.asset: manifest for manifest in warehouse.manifests()}
    for name in assets:
        yield tables[name] if name in tables else store.current(name).manifest


def _recommendations(warehouse: Warehouse) -> str:
    users = printed(warehouse).partition_by("user_id", as_dict=True, maintain_order=True)
    return "\n".join(_for_user(user, rows) for (user,), rows in users.items())


def printed(warehouse: Warehouse) -> pl.DataFrame:
    """The rows of `recommendations` that the outcome shows."""
    rows = warehouse.read("recommendations").filter(pl.col("rank") <= _ITEMS_SHOWN)
    users = rows["user_id"].unique(maintain_order=True).head(_USERS_SHOWN)
    return rows.filter(pl.col("user_id").is_in(users.implode()))


def _for_user(user: Any, rows: pl.DataFrame) -> str:
    return f"user {user}\n{recommendations_text(rows)}"


def recommendations_text(rows: pl.DataFrame) -> str:
    """Rank, title, probability, reason and the numbers behind it, of one user."""
    lines = []
    for row in rows.sort("rank").iter_rows(named=True):
        lines.append(f"  {row['rank']}. {row['title']} ({row['score']:.3f})")
        for text in (row["reason"], numbers_behind(row["facts"])):
            if text:
                lines.append(fill(text, _WIDTH, initial_indent=" " * 5, subsequent_indent=" " * 5))
    return "\n".join(lines)


def numbers_behind(facts: Sequence[Mapping[str, Any]]) -> str:
    """`(people like you: 7 of 9; comedy: 3 of 14)`; empty where no cited fact has a count."""
    counted = [
        f"{fact['value'] or fact['kind'].replace('_', ' ')}: {fact['count']} of {fact['of']}"
        for fact in facts
        if fact["of"]
    ]
    return f"({'; '.join(counted)})" if counted else ""


def _pointers(store: ModelStore) -> str:
    pages = sorted(store.current("quality_report").path.glob("*.html"))
    report = pages[0] if pages else store.current("quality_report").path
    return f"report  {report}\nUI      make ui   (then open the address that it prints)"
