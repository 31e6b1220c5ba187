"""Metrics and intervals against scikit-learn, hand-made answers and laws."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import log_loss, ndcg_score, roc_auc_score

from curec_assets.evaluation import metrics
from curec_assets.evaluation.bootstrap import Resamples, interval, weighted_auc, weighted_mean
from curec_assets.evaluation.protocol import _user_aucs, evaluate, sliced_events
from curec_assets.recommender.output_checks import misplaced_intervals
from curec_assets.retrieval.candidates import expected_ranks

_SCORES = st.lists(
    st.tuples(st.booleans(), st.integers(0, 20), st.integers(0, 3)), min_size=2, max_size=40
).filter(lambda events: len({liked for liked, _, _ in events}) == 2)


def _columns(events: list[tuple[bool, int, int]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    liked, scores, users = (np.array(column) for column in zip(*events, strict=True))
    return liked, scores / 20, users


@given(_SCORES)
def test_auc_is_scikit_learns_and_ignores_monotone_changes(
    events: list[tuple[bool, int, int]],
) -> None:
    liked, scores, users = _columns(events)
    once = np.ones((1, 4))
    expected = roc_auc_score(liked, scores)
    assert weighted_auc(once, users, liked, scores)[0] == pytest.approx(expected)
    assert weighted_auc(once, users, liked, np.exp(3 * scores))[0] == pytest.approx(expected)


@given(_SCORES, st.lists(st.integers(0, 3), min_size=4, max_size=4))
def test_weighted_auc_equals_repeating_the_users(
    events: list[tuple[bool, int, int]], times: list[int]
) -> None:
    liked, scores, users = _columns(events)
    repeated = np.repeat(np.arange(len(users)), np.array(times)[users])
    found = weighted_auc(np.array([times], dtype=float), users, liked, scores)[0]
    expected = metrics.auc(liked[repeated], scores[repeated]) if len(repeated) else np.nan
    assert found == pytest.approx(expected, nan_ok=True)


@given(_SCORES)
def test_gauc_is_the_mean_of_the_users_aucs(events: list[tuple[bool, int, int]]) -> None:
    liked, scores, users = _columns(events)
    frame = pl.DataFrame({"user": users, "liked": liked, "probability": scores})
    aucs, weights = _user_aucs(frame, 4)
    for user in range(4):
        own = users == user
        expected = metrics.auc(liked[own], scores[own]) if own.any() else np.nan
        if np.isnan(expected):
            assert weights[user] == 0
        else:
            assert (aucs[user], weights[user]) == (pytest.approx(expected), own.sum())


def test_log_loss_is_scikit_learns() -> None:
    liked, scores = np.array([True, False, True]), np.array([0.9, 0.2, 0.4])
    assert metrics.log_losses(liked, scores).mean() == pytest.approx(log_loss(liked, scores))


def test_ranks_by_hand() -> None:
    scores = np.array([[3.0, 2.0, 2.0, 1.0], [0.0, 0.0, 0.0, 0.0], [5.0, 9.0, 1.0, 0.0]])
    eligible = np.array([[True] * 4, [True] * 4, [True, False, True, True]])
    ranks = expected_ranks(scores, np.array([1, 0, 0]), eligible)
    assert ranks.tolist() == [2.5, 2.5, 1.0]  # half of the ties; seen items are no rivals


@given(st.integers(1, 30), st.integers(1, 30))
def test_ndcg_is_scikit_learns_and_one_for_a_perfect_ranking(place: int, items: int) -> None:
    rank = min(place, items)
    relevance, scores = np.zeros((1, items + 1)), -np.arange(items + 1.0)[None]
    relevance[0, rank - 1] = 1
    expected = ndcg_score(relevance, scores, k=metrics.CUTOFF)
    assert metrics.ndcg(np.array([float(rank)]))[0] == pytest.approx(expected)
    for metric in (metrics.hit, metrics.ndcg, metrics.reciprocal):
        assert metric(np.array([1.0]))[0] == 1.0


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=12), st.integers(0, 5))
def test_an_interval_contains_its_value(values: list[float], seed: int) -> None:
    rng = np.random.default_rng(seed)
    drawn = Resamples.draw(rng, users=len(values), seeds=1, samples=20)
    found = interval(weighted_mean(drawn.users, np.array(values), np.ones(len(values))))
    assert found.low <= found.value <= found.high
    assert found.value == pytest.approx(np.mean(values))


def test_the_bootstrap_has_the_right_width() -> None:
    values = np.random.default_rng(0).normal(size=400)
    drawn = Resamples.draw(np.random.default_rng(1), users=400, seeds=1, samples=2000)
    found = interval(weighted_mean(drawn.users, values, np.ones(400)))
    assert (found.high - found.low) / 2 == pytest.approx(1.96 * values.std() / 20, rel=0.1)


def _evaluated(first: list[float], second: list[float]) -> pl.DataFrame:
    size = len(first)
    events = pl.DataFrame(
        {
            "event_id": [f"e{n}" for n in range(size + 1)],
            "user_id": ["known"] + [f"u{n % 4}" for n in range(size)],
            "item_id": ["item"] * (size + 1),
            "liked": [True] + [n % 2 == 0 for n in range(size)],
            "split": ["train"] + ["test"] * size,
        }
    )
    own = events[1:].select("event_id")
    predictions = pl.concat(
        own.with_columns(recommender=pl.lit(name), seed=pl.lit(0), probability=pl.Series(values))
        for name, values in (("id", first), ("id_text", second))
    )
    ranks = predictions.with_columns(rank=pl.lit(1.0)).drop("probability")
    reasons = pl.DataFrame({"event_id": ["e1", "e2"]})
    return evaluate(sliced_events(events, reasons), predictions, ranks, samples=50, seed=1)


def test_the_evaluation_table() -> None:
    good = [0.9 if n % 2 == 0 else 0.1 for n in range(12)]
    table = _evaluated([0.5] * 12, good)
    values = {(r["slice"], r["recommender"], r["metric"]): r for r in table.to_dicts()}
    assert values["all", "id", "AUC"]["value"] == 0.5
    assert values["all", "id_text", "AUC"]["value"] == 1.0
    assert values["all", "id_text - id", "AUC"]["value"] == 0.5
    assert values["all", "id_text - id", "LogLoss"]["high"] < 0
    assert values["all", "id_text", "NDCG@10"]["value"] == 1.0
    assert values["with_reason", "id", "AUC"]["n_events"] == 2
    assert values["cold_user", "id", "AUC"]["n_users"] == 4
    assert values["cold_item", "id", "AUC"]["value"] is None
    assert values["cold_item", "id", "AUC"]["n_events"] == 0
    assert misplaced_intervals(table).is_empty()
    assert misplaced_intervals(table.with_columns(high=pl.col("low") - 1)).height > 0


def test_equal_recommenders_differ_by_exactly_nothing() -> None:
    scores = [((7 * n) % 12) / 12 for n in range(12)]
    table = _evaluated(scores, scores).filter(pl.col("recommender") == "id_text - id")
    assert set(table.drop_nulls("value").select("value", "low", "high").to_numpy().flat) == {0.0}


@pytest.mark.parametrize("events", [200, 20_000])
def test_what_is_calibrated_shows_the_error_that_chance_makes(events: int) -> None:
    random = np.random.default_rng(events)
    probabilities = random.beta(4, 2, events)
    liked = random.random(events) < probabilities
    expected = metrics.ece_if_calibrated(probabilities, random)
    assert metrics.expected_calibration_error(liked, probabilities) == pytest.approx(
        expected, rel=0.8
    )
    assert metrics.expected_calibration_error(liked, probabilities**3) > 3 * expected
    assert 0.3 < expected * np.sqrt(events) < 1.5


def test_nothing_is_said_of_the_calibration_of_no_events() -> None:
    assert np.isnan(metrics.ece_if_calibrated(np.array([]), np.random.default_rng(0)))
