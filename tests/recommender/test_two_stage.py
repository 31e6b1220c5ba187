"""The two stages together: ranks, storage, and logs that hold next to nothing."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from curec_assets.recommender.recommend import recommend
from resources.errors import ArtifactError, DataError
from tests.retrieval.conftest import catalogue, embeddings
from tests.support.ranking_problem import IDS, SMALL, build, load, log_of


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, pl.DataFrame]:
    """A ranking of 120 users who go the same way."""
    folder, log = tmp_path_factory.mktemp("ranking"), log_of(120, 10)
    build(folder, log)
    return folder, log


def test_what_comes_next_is_ranked_first(built: tuple[Path, pl.DataFrame]) -> None:
    folder, log = built
    ranks = pl.read_parquet(folder / "ranks.parquet")
    assert ranks.columns == ["event_id", "variant", "seed", "split", "rank"]
    assert set(ranks["variant"]) == {"lambdamart", "linear_ranker"}
    held_out = log.filter((pl.col("split") != "train") & pl.col("liked"))
    assert ranks.height == 2 * held_out.height
    # a first event has nothing to go by
    later = ranks.join(log.filter(pl.col("user_id").cum_count().over("user_id") > 1), on="event_id")
    medians = later.group_by("variant").agg(pl.col("rank").median())
    assert medians["rank"].max() <= 2


def test_a_stored_ranking_serves_alike_alone_and_together(
    built: tuple[Path, pl.DataFrame],
) -> None:
    folder, log = built
    ranking = load(folder, log)
    now = int(log["timestamp"].max()) + 1  # type: ignore[arg-type]
    queries = pl.DataFrame({"user_id": ["u3", "u7", "nobody"]}).with_columns(timestamp=now)
    together = ranking.rank(queries)
    alone = ranking.rank(queries[1:2]).with_columns(query=pl.lit(1, dtype=pl.Int64))
    assert_frame_equal(together.filter(pl.col("query") == 1), alone)
    popular = together.filter(pl.col("user_id") == "nobody")["rank"].to_list()
    assert len(popular) >= SMALL.narrow and popular == list(range(1, len(popular) + 1))
    falls = together.select(pl.col("score").diff().over("query")).drop_nulls()
    assert (falls["score"] <= 0).all()
    candidates = ranking.candidates(queries)
    assert set(candidates.rows()) == set(together.select("query", "item_id").rows())
    # the rank of what is shown is the place where it is shown; ties share the middle of theirs
    shown = together.filter(pl.col("query") == 0)
    ranks = ranking.ranks(shown.select("user_id", "timestamp", "item_id"))
    expected = shown.select(pl.col("rank").mean().over("score"))["rank"]
    np.testing.assert_allclose(ranks, expected.to_numpy())
    unseen = set(IDS) - set(log.filter(pl.col("user_id") == "u3")["item_id"])
    left = sorted(unseen - set(shown["item_id"]))
    asked = pl.DataFrame({"item_id": left}).with_columns(user_id=pl.lit("u3"), timestamp=now)
    assert ranking.ranks(asked).min() > shown.height


def test_the_past_is_not_asked_of_tables_that_know_it(built: tuple[Path, pl.DataFrame]) -> None:
    folder, log = built
    with pytest.raises(DataError, match="ask for a later time"):
        load(folder, log).rank(pl.DataFrame({"user_id": ["u1"], "timestamp": [5]}))


def test_a_ranking_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="materialise the asset 'recommender_ranking' again"):
        load(tmp_path, log_of(3, 4))


@pytest.mark.parametrize(
    ("log", "told"),
    [
        (log_of(30, 8), False),
        (log_of(1, 12), True),
        (log_of(30, 8, liked=False), True),
        (log_of(3, 1), True),
    ],
    ids=["no text or attributes", "one user", "nobody likes anything", "three events"],
)
def test_a_log_that_holds_next_to_nothing(log: pl.DataFrame, told: bool, tmp_path: Path) -> None:
    ranks = build(tmp_path, log, told=told)
    held_out = log.filter((pl.col("split") != "train") & pl.col("liked"))
    assert ranks.height == 2 * held_out.height
    assert (ranks["rank"].is_between(1, len(IDS))).all()
    shown = recommend(
        ["u0", "nobody"],
        interactions=log,
        items=catalogue(IDS, told=told),
        item_embeddings=embeddings(IDS),
        ranking_folder=tmp_path,
        top_k=3,
        considered=5,
        least_probability=0.5,
        probabilities=lambda rows: np.full(rows.height, 0.5),
    )
    assert shown.columns == ["user_id", "rank", "item_id", "score"]
