"""Evidence of the recommender's snapshot: what is taken over is what would be read anew."""

from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curec_assets.datasets.schema import INTERACTIONS
from curec_assets.evidence.crossfit import ForwardModels, time_blocks
from curec_assets.evidence.numbers import COLUMNS
from curec_assets.evidence.serving import evidence_of
from tests.evidence.conftest import SETTINGS, Read

KNOWN = 1200


@pytest.fixture(scope="module")
def events(history: tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]) -> pl.DataFrame:
    rows = history[0].with_columns(event_id=pl.format("e{}", pl.int_range(pl.len()).shuffle(1)))
    return rows.sort("timestamp", "event_id").select(list(INTERACTIONS))


@pytest.fixture(scope="module")
def trained(events: pl.DataFrame, read: Read) -> dict[str, Any]:
    """What the training snapshot has: events, their numbers, forward probabilities, the model."""
    known = events.head(KNOWN)
    numbers = read(known, known)
    split = pl.lit("train").alias("split")
    block = time_blocks(known.with_columns(split), SETTINGS.time_blocks)
    models = ForwardModels.fit(numbers, known.with_columns(split, block=block), SETTINGS, 3)
    scores = pl.Series("probability", models.score(numbers, block)).fill_nan(None)
    return {
        "earlier": (known, pl.concat([known.select("event_id"), numbers], how="horizontal")),
        "forward": known.select("event_id", scores),
        "model": models.final,
    }


@settings(max_examples=12, deadline=None)
@given(
    come=st.integers(0, 500),
    change=st.sampled_from(["none", "late", "flipped", "gone"]),
    place=st.integers(0, KNOWN - 1),
)
def test_evidence_is_that_of_reading_every_event_anew(
    events: pl.DataFrame,
    read: Read,
    trained: dict[str, Any],
    come: int,
    change: str,
    place: int,
) -> None:
    now = events.head(KNOWN + come)
    if change == "late":
        late = events[place].with_columns(
            pl.col("timestamp") - 1, event_id=pl.lit("late"), item_id=pl.lit("i1")
        )
        now = pl.concat([now, late])
    elif change == "flipped":
        at = pl.int_range(pl.len()) == place
        now = now.with_columns(liked=pl.col("liked") ^ at)
    elif change == "gone":
        now = now.filter(pl.int_range(pl.len()) != place)
    asked = []

    def reading(rows: pl.DataFrame) -> pl.DataFrame:
        asked.append(rows.height)
        return read(now, rows)

    found = evidence_of(now.sample(fraction=1, shuffle=True, seed=1), **trained, read=reading)
    found = now.select("event_id").join(found, on="event_id", maintain_order="left")
    assert found.select(COLUMNS).equals(read(now, now))
    assert sum(asked) == (come if change == "none" else now.height)
    forward = dict(trained["forward"].iter_rows())
    final = trained["model"].probabilities(read(now, now))
    expected = [forward.get(name, p) for name, p in zip(now["event_id"], final, strict=True)]
    np.testing.assert_allclose(
        found["probability"].to_numpy(), np.array(expected, dtype=float), rtol=1e-12
    )
