"""The page Quality: what the numbers are, and how far they can be trusted."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import altair as alt
import marimo as mo
import polars as pl

from curec_assets.evaluation.protocol import SLICES
from curec_assets.explorer.pages import FOR, HEIGHT, heading, rows, said
from curec_assets.explorer.stored import Stored

_DIFFERENCE = pl.col("recommender").str.contains(" - ", literal=True)


def quality(stored: Stored) -> Any:
    """How good recommenders and reasons are, what was learnt, and what has changed since."""
    others = {
        f"The same on {meaning}": mo.lazy(_on(stored, name))
        for name, meaning in SLICES.items()
        if name != "all"
    }
    return mo.vstack(
        [
            heading("Test events, 95 % intervals over users"),
            _recommenders(stored.evaluation()),
            mo.accordion(others, multiple=True),
            heading("Predicted and true share of likes, validation events"),
            _reliability(stored),
            heading("The stored reasons, 95 % intervals over users"),
            mo.lazy(lambda: _rounded(stored.measures)),
            heading("Reasons around the 5th, 50th and 95th percentile of reward"),
            mo.lazy(lambda: _rounded(stored.samples)),
            heading("Reinforcement learning: mean reward of each step"),
            _rewards(stored),
            heading("New events against the training snapshot"),
            mo.lazy(lambda: _drift(stored)),
            heading(f"{stored.quarantine.height} cells in quarantine"),
            rows(stored.quarantine),
        ]
    )


def _on(stored: Stored, events: str) -> Callable[[], Any]:
    return lambda: _recommenders(stored.evaluation(events))


def _recommenders(found: pl.DataFrame) -> Any:
    if found.is_empty():
        return said("No test event is among them.")
    return mo.vstack(
        [
            _intervals(found.filter(~_DIFFERENCE)),
            heading("Differences on the same resampled users"),
            _intervals(found.filter(_DIFFERENCE)),
        ]
    )


def _intervals(found: pl.DataFrame) -> Any:
    """Value and interval of each recommender, a picture for each metric."""
    base = alt.Chart(found).encode(y=alt.Y("recommender:N", sort=None, title=None))
    interval = base.mark_rule().encode(x=alt.X("low:Q", scale=alt.Scale(zero=False)), x2="high:Q")
    point = base.mark_point(filled=True, color=FOR).encode(
        x=alt.X("value:Q", title=None),
        tooltip=["recommender:N", "value:Q", "low:Q", "high:Q"],
    )
    return (
        alt.layer(interval, point)
        .properties(width=260)
        .facet(alt.Facet("metric:N", title=None), columns=2)
        .resolve_scale(x="independent", y="independent")
    )


def _reliability(stored: Stored) -> Any:
    return (
        alt.Chart(stored.reliability)
        .mark_line(point=True)
        .encode(
            x=alt.X("probability:Q", title="predicted"),
            y=alt.Y("liked:Q", title="share liked"),
            color=alt.Color("model:N", title=None),
            tooltip=["model:N", "probability:Q", "liked:Q", "events:Q"],
        )
        .properties(width="container", height=HEIGHT)
    )


def _rewards(stored: Stored) -> Any:
    return (
        alt.Chart(stored.rewards)
        .mark_line(point=True, color=FOR)
        .encode(x="step:O", y=alt.Y("reward:Q", scale=alt.Scale(zero=False)))
        .properties(width="container", height=HEIGHT)
    )


def _drift(stored: Stored) -> Any:
    if stored.drift is None:
        return said("No event is newer than the snapshot.")
    figures = asdict(stored.drift)
    return rows(
        pl.DataFrame(
            {
                "of new events": [name.replace("_", " ") for name in figures],
                "value": [_number(value) for value in figures.values()],
            }
        )
    )


def _number(value: float | None) -> str:
    if value is None:
        return "not known yet"
    return f"{value:,}" if isinstance(value, int) else f"{value:.3f}"


def _rounded(found: pl.DataFrame) -> Any:
    return rows(found.with_columns(pl.col(pl.Float64).round(3)), at_once=30)
