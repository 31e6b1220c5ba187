"""ItemScorers, full ranking, and the two stages together."""

from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from curec_assets.recommender.output_checks import recommendation_problems
from curec_assets.recommender.outputs import held_out_outputs
from curec_assets.recommender.recommend import recommend
from curec_assets.retrieval.candidates import full_ranks
from curec_assets.retrieval.item_scorers import ItemScorers, ease
from resources.errors import ArtifactError
from tests.recommender.conftest import Problem
from tests.retrieval.conftest import catalogue, embeddings
from tests.support.ranking_problem import IDS, build, log_of


def test_ease_by_hand() -> None:
    likes = np.array([[1, 1, 0], [1, 1, 0], [0, 0, 1]], dtype=np.float32)
    weights = ease(likes, l2=1.0)
    # G = [[3,2,0],[2,3,0],[0,0,2]]; P = inverse; B = -P / diag(P)
    expected = [[0, 2 / 3, 0], [2 / 3, 0, 0], [0, 0, 0]]
    np.testing.assert_allclose(weights, expected, atol=1e-6)


def _log() -> pl.DataFrame:
    rows = [("u", "a", True, 1), ("u", "b", True, 2), ("v", "a", True, 1), ("v", "b", True, 3)]
    rows += [("w", "c", True, 1), ("w", "d", False, 2), ("x", "a", True, 5)]
    schema = ["user_id", "item_id", "liked", "timestamp"]
    return pl.DataFrame(rows, schema=schema, orient="row")


def test_the_running_history_is_folded_in() -> None:
    log = _log()
    retrievers = ItemScorers.fit(
        log.filter(pl.col("timestamp") < 5), list("abcd"), l2=1.0, ease_items=10, smoothing=5.0
    )
    queries = pl.DataFrame({"user_id": ["x", "x"], "item_id": ["b", "b"], "timestamp": [6, 5]})
    score = partial(retrievers.scores, "ease")
    # before x liked anything, popularity decides: a and b lead with two likes each
    assert full_ranks(retrievers, score, log, queries).tolist() == [1.0, 1.5]


def test_retrievers_survive_storage(tmp_path: Path) -> None:
    fitted = ItemScorers.fit(_log(), list("abcd"), l2=1, ease_items=9, smoothing=5)
    fitted.save(tmp_path)
    loaded = ItemScorers.load(tmp_path)
    liked = np.array([[1, 0, 0, 1]], dtype=np.float32)
    for name in ("ease", "item_knn", "popularity", "item_mean"):
        np.testing.assert_array_equal(fitted.scores(name, liked), loaded.scores(name, liked))
    with pytest.raises(ArtifactError, match="baseline_recommenders"):
        ItemScorers.load(tmp_path / "nowhere")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, pl.DataFrame]:
    """A ranking of users who go the same way, and their log."""
    folder, log = tmp_path_factory.mktemp("recommend"), log_of(60, 10)
    build(folder, log)
    return folder, log


def _recommend(
    built: tuple[Path, pl.DataFrame], users: list[str], *, least_probability: float = 0.0
) -> pl.DataFrame:
    folder, log = built

    def probabilities(rows: pl.DataFrame) -> np.ndarray:
        """Of its item alone: the higher its number, the likelier."""
        return rows["item_id"].str.slice(1).cast(pl.Float64).to_numpy() / len(IDS)

    return recommend(
        users,
        interactions=log,
        items=catalogue(IDS),
        item_embeddings=embeddings(IDS),
        ranking_folder=folder,
        top_k=3,
        considered=10,
        least_probability=least_probability,
        probabilities=probabilities,
    )


def test_recommendations_are_new_ranked_and_what_comes_next(
    built: tuple[Path, pl.DataFrame],
) -> None:
    _, log = built
    users = [f"u{n}" for n in range(20)]
    shown = _recommend(built, users)
    assert recommendation_problems(shown, log) == []
    assert shown["user_id"].unique(maintain_order=True).to_list() == users
    numbers = shown["item_id"].str.slice(1).cast(pl.Float64) / len(IDS)
    np.testing.assert_allclose(shown["score"], numbers)
    latest = log.sort("timestamp").group_by("user_id").agg(pl.col("item_id").last())
    joined = shown.join(latest, on="user_id", suffix="_latest")
    step = pl.col("item_id").str.slice(1).cast(int) - pl.col("item_id_latest").str.slice(1).cast(
        int
    )
    assert joined.select(((step % len(IDS)) <= 3).mean()).item() > 0.5  # by chance 0.2


def test_what_is_likely_to_be_liked_comes_before_the_rest_in_the_rankers_order(
    built: tuple[Path, pl.DataFrame],
) -> None:
    users = [f"u{n}" for n in range(20)]
    plain = _recommend(built, users)
    picked = _recommend(built, users, least_probability=0.5)
    assert picked["score"].mean() > plain["score"].mean()
    for _, own in picked.group_by("user_id"):
        doubtful = (own.sort("rank")["score"] < 0.5).to_list()
        assert doubtful == sorted(doubtful)


def test_a_user_without_history_and_an_empty_list_of_users(
    built: tuple[Path, pl.DataFrame],
) -> None:
    assert _recommend(built, ["nobody"])["rank"].to_list() == [1, 2, 3]
    nobody = _recommend(built, [])
    assert nobody.is_empty()
    assert nobody.columns == ["user_id", "rank", "item_id", "score"]


def test_a_seen_or_repeated_item_is_a_problem() -> None:
    shown = pl.DataFrame({"user_id": ["u", "u"], "rank": [1, 3], "item_id": ["a", "a"]})
    seen = pl.DataFrame({"user_id": ["u"], "item_id": ["a"], "rating": [5.0]})
    assert len(recommendation_problems(shown, seen)) == 3
    drawn = seen.with_columns(rating=pl.lit(None, pl.Float64))
    assert len(recommendation_problems(shown, drawn)) == 2


def test_all_recommenders_are_read_for_the_evaluation(
    taste_problem: Problem,
) -> None:
    _, folder = taste_problem
    predictions, ranks = held_out_outputs(
        folder / "baselines", folder / "recommender", folder / "ranking"
    )
    variants = {"id", "id_text", "id_text_reason", "evidence", "numbers", "numbers_reason"}
    variants |= {"mlp", "best_peer", "whole"}
    assert set(predictions["recommender"]) == variants | {"item_mean", "running_statistics"}
    assert set(ranks["recommender"]) == {
        "lambdamart",
        "linear_ranker",
        "item_mean",
        "popularity",
        "item_knn",
        "ease",
        "ease_text",
    }
    assert ranks["rank"].min() >= 1
