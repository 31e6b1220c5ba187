"""Pictures and samples of docs/benchmark.md, beside the tables of `benchmarks.tables`."""

import base64
import re
from collections.abc import Mapping
from pathlib import Path

import polars as pl

from benchmarks.harness import ROOT
from curec_assets.display.charts import line_chart, reliability_chart
from curec_assets.display.markdown import escaped
from curec_assets.evaluation.metrics import reliability
from curec_assets.policy.metrics import reward_terms, step_means
from curec_assets.serving.samples import samples

IMAGES = ROOT / "docs" / "images"
_SAMPLES = re.compile(r"(<!-- samples -->\n).*?(<!-- end -->)", re.DOTALL)
_RELIABLE = ("evidence", "whole", "best_peer")
_BY_ROUND = (
    ("reader_auc", "auc", "Plain reader's AUC"),
    ("level_ece", "ece", "ECE of the level"),
)
_FEWEST_REASONS = 20


def draw_recommenders(predictions: pl.DataFrame, events: pl.DataFrame, folder: Path) -> None:
    """`benchmark-reliability.png`: predicted and true share of likes of three recommenders.

    `predictions`: event_id, recommender, seed, probability; `events`: event_id, liked, all test.
    """
    bins = {}
    for name in _RELIABLE:
        of_it = (
            predictions.filter(recommender=name)
            .group_by("event_id")
            .agg(pl.col("probability").mean())
        )
        both = events.join(of_it, on="event_id", maintain_order="left")
        bins[name] = reliability(both["liked"].to_numpy(), both["probability"].to_numpy())
    _save(reliability_chart(bins, title="Test events"), folder / "benchmark-reliability.png")


def draw_policy(metrics: Mapping[str, object], folder: Path) -> None:
    """`benchmark-{reward,terms,kl}.png`: by optimiser step of reinforcement learning."""
    means, terms = step_means(metrics), reward_terms(metrics)
    pictures = (
        ("reward", {"reward": means["reward"]}, "Mean reward of sampled reasons", "reward"),
        ("terms", terms, "The reward's unweighted terms", "mean"),
        ("kl", {"KL": means["kl"]}, "KL to the aligned model", "nats per token"),
    )
    for short, series, title, y_label in pictures:
        known = {name: values for name, values in series.items() if None not in values}
        _save(
            line_chart(known, title=title, x_label="optimiser step", y_label=y_label),
            folder / f"benchmark-{short}.png",
        )


def draw_rounds(rounds: pl.DataFrame, folder: Path) -> None:
    """`benchmark-rounds-{auc,ece}.png`: plain reader's AUC and level ECE, one line per walk.

    `rounds`: see `walks.rounds_of`. Groups of too few reasons to mean anything are left out.
    """
    shown = rounds.filter(pl.col("reasons").min().over("rounds") >= _FEWEST_REASONS)
    groups = shown["rounds"].unique(maintain_order=True).to_list()
    walks = shown.partition_by("walk", as_dict=True, maintain_order=True)
    for measure, short, title in _BY_ROUND:
        _save(
            line_chart(
                {str(walk): of_it[measure].to_list() for (walk,), of_it in walks.items()},
                title=f"{title} by how many rounds the user has behind",
                x_label=f"1, 2, ...: rounds {', '.join(groups)}",
                y_label=title,
            ),
            folder / f"benchmark-rounds-{short}.png",
        )


def with_samples(page: str, reasons: pl.DataFrame) -> str:
    """The page with reasons at the 5th, 50th and 95th percentile of reward in its marked block.

    `reasons`: of test events, `reward, level, verdict, why, liked`; nothing of them is edited.
    """
    lines = ["| percentile | reward, nats | outcome | reason |", "|---|---|---|---|"]
    for row in samples(reasons).iter_rows(named=True):
        outcome = "liked" if row["liked"] else "not liked"
        text = escaped(f"{row['verdict']} {row['why']}")
        lines.append(f"| {row['percentile']} | {row['reward']:+.2f} | {outcome} | {text} |")
    table = "\n".join(lines) + "\n"
    return _SAMPLES.sub(lambda found: found[1] + table + found[2], page)


def _save(picture: str, path: Path) -> None:
    """The PNG of one of `display.charts`, which come as data URIs."""
    path.write_bytes(base64.b64decode(picture.split("base64,", 1)[1].rstrip(")")))
