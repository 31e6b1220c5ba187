"""Timelines, tables of items, list models: small cases with known answers."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from curec_assets.retrieval.activity import Activity
from curec_assets.retrieval.item_scorers import nearest
from curec_assets.retrieval.item_tables import TABLES, ItemTables
from curec_assets.retrieval.list_models import LinearModel, Lists, TreeModel, fit_models, load_model
from curec_assets.retrieval.proposals import RETRIEVERS
from curec_assets.retrieval.timeline import Timeline, in_blocks
from resources.errors import ArtifactError
from tests.retrieval.conftest import DAY, ITEMS, SETTINGS, events

_LOG = events(
    [
        ("u", "a", True, 1),
        ("u", "b", False, 2),
        ("u", "c", True, 2),
        ("v", "a", True, 5),
        ("w", "b", False, 6),
        ("v", "c", True, 4 * DAY),
    ]
)


def test_a_history_is_what_came_strictly_before() -> None:
    timeline = Timeline(_LOG, ITEMS)
    asked = timeline.ask(pl.DataFrame({"user_id": ["u", "u", "x"], "timestamp": [2, 3, 9]}))
    dense = timeline.histories(asked, decay=0.5).toarray()
    assert dense[0].tolist() == [1.0, *[0.0] * 7]
    assert dense[1].tolist() == [0.25, 0.5, 1.0, *[0.0] * 5]
    assert not dense[2].any()
    likes = timeline.histories(asked, liked=True, latest=1).toarray()
    assert np.flatnonzero(likes[1]).tolist() == [2]


def test_a_cut_is_earlier_than_its_queries_and_never_far() -> None:
    timeline = Timeline(_LOG, ITEMS)
    asked = timeline.ask(pl.DataFrame({"user_id": ["u"] * 6, "timestamp": [0, 1, 2, 3, 5, 6]}))
    cuts = {row: cut for cut, rows in in_blocks(timeline, asked, 2) for row in rows.tolist()}
    assert cuts == {0: 1, 1: 1, 2: 1, 3: 2, 4: 2, 5: 2}


def test_activity_by_hand() -> None:
    timeline = Timeline(_LOG, ITEMS)
    found = Activity.at(timeline, np.array([2, 6, 5 * DAY]))
    assert found.all_likes[:, 0].tolist() == [1, 2, 2]
    assert found.all_events[:, 1].tolist() == [0, 1, 2]
    assert found.likes[1][:, 0].tolist() == [1, 2, 0]
    assert found.likes[3][2].tolist() == [0, 0, 1, *[0] * 5]
    assert np.isinf(found.age[0, 2]) and found.age[2, 2] == pytest.approx(5 - 2 / DAY)
    assert found.quiet[2, 2] == pytest.approx(1.0)


def test_what_follows_is_a_transition_and_equal_times_go_both_ways() -> None:
    tables = ItemTables.fit(Timeline(_LOG, ITEMS), 5 * DAY, SETTINGS)
    short = tables.tables["short"]
    assert tables.known.tolist() == [0, 1, 2]
    assert short[0, 1] > short[0, 2] > 0  # b is next, c is the one after
    assert short[1, 2] == short[2, 1] > 0  # rated in one second
    assert short[1, 0] == 0
    assert tables.tables["long"][0, 2] > 0 and not tables.tables["long"][:, 1].any()
    assert set(tables.tables) == set(TABLES) and set(TABLES) < set(RETRIEVERS)


def test_tables_outlive_a_change_of_the_catalogue(tmp_path: Path) -> None:
    timeline = Timeline(_LOG, ITEMS)
    fitted = ItemTables.fit(timeline, 5 * DAY, SETTINGS)
    fitted.save(tmp_path, timeline)
    smaller = Timeline(_LOG, ["0", "a", "c", "new"])
    loaded = ItemTables.load(tmp_path, smaller)
    assert loaded.known.tolist() == [1, 2]
    np.testing.assert_array_equal(
        loaded.tables["short"], fitted.tables["short"][np.ix_([0, 2], [0, 2])]
    )
    with pytest.raises(ArtifactError, match="recommender_ranking"):
        ItemTables.load(tmp_path / "nowhere", timeline)


def test_neighbours_by_hand() -> None:
    likes = np.array([[1, 1, 1], [1, 1, 0], [0, 0, 1]], dtype=np.float32)
    found = nearest(likes, neighbours=1, shrinkage=0.0)
    np.testing.assert_allclose(found, [[0, 1, 0.5], [1, 0, 0.5], [0, 0, 0]])


def _lists(count: int, *, signal: float, seed: int = 0) -> Lists:
    """Lists of ten; the liked one has more of the first feature."""
    rng = np.random.default_rng(seed)
    liked = np.zeros((count, 10), dtype=np.bool_)
    liked[np.arange(count), rng.integers(0, 10, count)] = True
    features = rng.normal(size=(count * 10, 3)).astype(np.float32)
    features[:, 0] += signal * liked.ravel()
    return Lists(features, liked.ravel(), np.full(count, 10))


@pytest.mark.parametrize("kind", ["lightgbm", "linear"])
def test_what_tells_the_liked_one_is_learned_and_stored(kind: str, tmp_path: Path) -> None:
    names = ("told", "noise", "more_noise")
    settings = SETTINGS.model_copy(update={"model": kind})
    watched = _lists(100, signal=3.0, seed=1)
    model = fit_models(names, _lists(300, signal=3.0), watched, settings, seed=3)[kind]
    assert isinstance(model, TreeModel if kind == "lightgbm" else LinearModel)
    assert max(model.weights(), key=lambda name: model.weights()[name]) == "told"
    test = _lists(200, signal=3.0, seed=2)
    scores = model.scores(test.features)
    best = scores.reshape(-1, 10).argmax(axis=1) == test.liked.reshape(-1, 10).argmax(axis=1)
    assert best.mean() > 0.7
    model.save(tmp_path)
    np.testing.assert_allclose(load_model(tmp_path).scores(test.features), scores, rtol=1e-5)


def test_without_lists_the_retrievers_order() -> None:
    none = Lists(np.zeros((0, 2), np.float32), np.zeros(0, np.bool_), np.zeros(0, np.int64))
    model = fit_models(("ease_all_place", "noise"), none, none, SETTINGS, seed=1)["lightgbm"]
    scores = model.scores(np.array([[-1.0, 9.0], [-2.0, 50.0], [0.0, 0.0]], dtype=np.float32))
    assert scores.argsort().tolist() == [1, 0, 2]


def test_a_damaged_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "linear.json").write_text("{}")
    with pytest.raises(ArtifactError, match="materialise the asset 'recommender_ranking' again"):
        load_model(tmp_path)
