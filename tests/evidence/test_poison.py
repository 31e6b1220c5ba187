"""A trigger word in one item of a hundred moves nobody's verdict by more than its share."""

import numpy as np
import polars as pl
import pytest

from curec_assets.datasets.sources.toy import ToySource
from curec_assets.evidence.crossfit import ForwardModels, time_blocks
from curec_assets.evidence.event_log import Floats
from curec_assets.evidence.levels import level_of
from curec_assets.evidence.numbers import EvidenceNumbers
from curec_assets.settings import EvidenceSettings
from tests.support.reading import all_rows

SEED, WIDTH, SHARE = 3, 32, 0.01
SETTINGS = EvidenceSettings()
ITEMS = ToySource(SEED).items().select("item_id", "year", "attributes")


@pytest.fixture(scope="module")
def events() -> pl.DataFrame:
    rows = all_rows(ToySource(SEED)).unique(["user_id", "item_id", "timestamp"])
    place = pl.int_range(pl.len()) / pl.len()
    return (
        rows.select("user_id", "item_id", "timestamp", "rating", liked=pl.col("rating") >= 4)
        .sort("timestamp", "user_id", "item_id")
        .with_columns(
            event_id=pl.int_range(pl.len()).cast(pl.String),
            split=pl.when(place < 0.8)
            .then(pl.lit("train"))
            .when(place < 0.9)
            .then(pl.lit("validation"))
            .otherwise(pl.lit("test")),
        )
    )


def unit(vectors: Floats) -> Floats:
    found: Floats = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return found


def judged(
    events: pl.DataFrame, texts: Floats, models: ForwardModels | None = None
) -> tuple[Floats, ForwardModels]:
    """P(like) of every event under these text embeddings; by new models if there are none."""
    embedding = pl.Series(texts.astype(np.float32), dtype=pl.Array(pl.Float32, WIDTH))
    embeddings = ITEMS.select("item_id", embedding=embedding)
    numbers = EvidenceNumbers(events, ITEMS, embeddings, SETTINGS, SEED).read(events)
    blocks = time_blocks(events, SETTINGS.time_blocks)
    fitted = models or ForwardModels.fit(numbers, events.with_columns(block=blocks), SETTINGS, SEED)
    return fitted.score(numbers, blocks), fitted


@pytest.mark.fault("a trigger word in 1 % of the items")
@pytest.mark.parametrize("refitted", [False, True], ids=["served", "learnt"])
@pytest.mark.parametrize("seed", range(3))
def test_a_trigger_word_moves_verdicts_by_no_more_than_its_share(
    events: pl.DataFrame, seed: int, refitted: bool
) -> None:
    """The word is most of what the items' embeddings say: before models are fitted, or after.

    On average over everybody, probabilities move by less than the share; no verdict moves by more
    than one of nine levels; nor are the poisoned items pushed up.
    """
    rng = np.random.default_rng(seed)
    clean = unit(rng.normal(size=(ITEMS.height, WIDTH)))
    bad = rng.choice(ITEMS.height, max(1, round(SHARE * ITEMS.height)), replace=False)
    poisoned = clean.copy()
    poisoned[bad] = unit(0.1 * clean[bad] + unit(rng.normal(size=(1, WIDTH))))
    before, models = judged(events, clean)
    after, _ = judged(events, poisoned, None if refitted else models)
    known = ~np.isnan(before)
    moved = (after - before)[known]
    about = (
        events.filter(pl.Series(known))["item_id"].is_in(ITEMS["item_id"].gather(bad)).to_numpy()
    )
    assert abs(moved.mean()) < SHARE
    levels = [
        np.array([level_of(value, SETTINGS.level_cuts) for value in values[known].tolist()])
        for values in (before, after)
    ]
    assert np.abs(levels[1] - levels[0]).max() <= 1
    assert about.any()
    assert moved[about].mean() < 0.05
