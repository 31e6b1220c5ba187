"""Small problems with a known answer, and what is built from them."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from curec_assets.datasets.histories import histories_of
from curec_assets.evidence.numbers import EvidenceNumbers
from curec_assets.recommender.baselines import build_baselines
from curec_assets.recommender.build import build_recommender, event_rows
from curec_assets.recommender.dataset import EventTables, TrainingData
from curec_assets.recommender.ranking import build_ranking
from curec_assets.recommender.reason_stage import Reasons
from curec_assets.recommender.tabular import Rows
from curec_assets.settings import EvidenceSettings, RankingSettings, RecommenderSettings

SETTINGS = RecommenderSettings(
    dim=8,
    epochs=8,
    learning_rate=3e-2,
    batch_size=128,
    seeds=2,
    recommended_users=3,
    bootstrap_samples=50,
)
RANKING = RankingSettings(rounds=40, patience=10, text_weights=(0.1,))
TEXT_DIM = 6

EVIDENCE = EvidenceSettings(max_trees=40, min_leaf_events=10)


@dataclass(frozen=True)
class Tables(EventTables):
    """All that the recommender is made from."""

    serving_evidence: pl.DataFrame
    reason_embeddings: pl.DataFrame

    def rows(self) -> Rows:
        """As numbers."""
        return event_rows(self, self.serving_evidence, SETTINGS)[0]


Problem = tuple[Tables, Path]
"""Tables, and a folder with everything that was built from them."""


def with_splits(events: pl.DataFrame) -> pl.DataFrame:
    """Events in time order, 70/15/15."""
    ordered = events.sort("timestamp", "event_id")
    place = pl.int_range(pl.len()) / pl.len()
    split = pl.when(place < 0.7).then(pl.lit("train")).when(place < 0.85)
    return ordered.with_columns(split=split.then(pl.lit("validation")).otherwise(pl.lit("test")))


def planted(
    liked: Callable[[np.ndarray, np.ndarray, np.random.Generator], np.ndarray],
    *,
    users: int = 100,
    items: int = 30,
    per_user: int = 24,
    reasons: bool = False,
) -> Tables:
    """Users who rate random items; `liked(user, item, rng)` decides.

    With `reasons`, every event has an embedding that carries its outcome.
    """
    rng = np.random.default_rng(7)
    user = np.repeat(np.arange(users), per_user)
    item = np.concatenate([rng.permutation(items)[:per_user] for _ in range(users)])
    outcome = liked(user, item, rng)
    events = with_splits(
        pl.DataFrame(
            {
                "event_id": [f"e{n:05}" for n in range(len(user))],
                "user_id": [f"u{n}" for n in user],
                "item_id": [f"i{n}" for n in item],
                "rating": np.where(outcome, 5.0, 1.0),
                "liked": outcome,
                "timestamp": rng.permutation(len(user)) * 60,
            }
        )
    )
    ids = [f"i{n}" for n in range(items)]
    catalogue = pl.DataFrame({"item_id": ids}).with_columns(
        title=pl.col("item_id"),
        year=pl.lit(None, dtype=pl.Int64),
        attributes=pl.lit([], dtype=pl.List(pl.Struct({"kind": pl.String, "value": pl.String}))),
        text=pl.lit(""),
    )
    vectors = np.zeros((items, TEXT_DIM), dtype=np.float32)
    signal = rng.normal(size=(events.height, TEXT_DIM)).astype(np.float32)
    signal[:, 0] += np.where(events["liked"].to_numpy(), 2.0, -2.0)
    embedding = pl.Array(pl.Float32, TEXT_DIM)
    covered = events.height if reasons else 0
    item_embeddings = pl.DataFrame(
        {"item_id": ids, "embedding": vectors}, schema_overrides={"embedding": embedding}
    )
    numbers = EvidenceNumbers(events, catalogue, item_embeddings, EVIDENCE, 3).read(events)
    return Tables(
        events=events,
        histories=histories_of(events, events, 50),
        items=catalogue,
        item_embeddings=item_embeddings,
        serving_evidence=pl.concat([events.select("event_id"), numbers], how="horizontal").select(
            pl.all(), probability=pl.col("item_like_rate").cast(pl.Float64).clip(0.05, 0.95)
        ),
        reason_embeddings=pl.DataFrame(
            {
                "event_id": events["event_id"][:covered],
                "verdict_embedding": signal[:covered],
                "why_embedding": signal[:covered, ::-1],
                "level": [5] * covered,
            },
            schema_overrides={
                "verdict_embedding": embedding,
                "why_embedding": embedding,
                "level": pl.Int64,
            },
        ),
    )


def taste(user: np.ndarray, item: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Two kinds of users, each liking one kind of item; five in a hundred answers are noise."""
    return ((user + item) % 2 == 0) ^ (rng.random(len(user)) < 0.05)


def chance(user: np.ndarray, item: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Nothing to learn but what the reasons tell."""
    return rng.random(len(user)) < 0.5


def _built(inputs: Tables, folder: Path, settings: RecommenderSettings) -> Problem:
    for name in ("baselines", "recommender", "ranking"):
        (folder / name).mkdir()
    known = inputs.events, inputs.items, inputs.item_embeddings
    build_baselines(folder / "baselines", *known, settings=settings, ranking=RANKING, seed=3)
    data = TrainingData.make(inputs, settings)
    build_recommender(
        folder / "recommender",
        data,
        inputs.rows(),
        inputs.serving_evidence["probability"].to_numpy(),
        Reasons.of(inputs.events, inputs.reason_embeddings),
        settings=settings,
        evidence_settings=EVIDENCE,
        seed=3,
    )
    build_ranking(folder / "ranking", *known, settings=RANKING, seed=3)
    return inputs, folder


@pytest.fixture(scope="session")
def taste_problem(tmp_path_factory: pytest.TempPathFactory) -> Problem:
    """Users with a taste, no reasons: inputs, and a folder with everything that was built."""
    return _built(planted(taste), tmp_path_factory.mktemp("taste"), SETTINGS)


@pytest.fixture(scope="session")
def reason_problem(tmp_path_factory: pytest.TempPathFactory) -> Problem:
    """Outcomes by chance, told by the reasons alone."""
    settings = SETTINGS.model_copy(update={"seeds": 1, "epochs": 6})
    return _built(planted(chance, reasons=True), tmp_path_factory.mktemp("reasons"), settings)
