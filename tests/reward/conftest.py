"""Planted worlds: what a reason tells about the label is known, so the right answer is too."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from curec_assets.reward.build import build_reward_model
from curec_assets.reward.dataset import events_with_histories, reward_events
from curec_assets.reward.scoring import RewardScorer, ScoredEvent
from curec_assets.reward.texts import Text
from curec_assets.settings import EncoderSettings, RewardSettings
from resources.storage.manifest import Manifest
from resources.storage.model_store import Artifact, hash_files

DIM = 24
ENCODER = EncoderSettings(source="words")
SETTINGS = RewardSettings(
    draft_train=1,
    draft_validation=1,
    epochs=12,
    learning_rate=0.01,
    batch_size=64,
    dim=8,
    gate_blocks=True,
)


class WordEncoder:
    """Each text's first word gives the embedding, the rest a little noise; unit length."""

    def __init__(self) -> None:
        self.sources: set[str] = set()

    def encode(self, texts: Sequence[str], *, source: str, batch_size: int) -> Any:
        self.sources.add(source)
        rows = [
            _direction(text.split()[0]) + 0.1 * _direction(text) for text in texts if text.strip()
        ]
        encoded = iter(rows)
        matrix = np.array([next(encoded) if text.strip() else np.zeros(DIM) for text in texts])
        length = np.linalg.norm(matrix, axis=1, keepdims=True)
        return (matrix / np.where(length > 0, length, 1.0)).astype(np.float32)


def _direction(text: str) -> Any:
    seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
    return np.random.default_rng(seed).normal(size=DIM)


@dataclass(frozen=True)
class World:
    """Tables as the warehouse holds them."""

    event_splits: pl.DataFrame
    histories: pl.DataFrame
    drafts: pl.DataFrame

    def frame(self) -> pl.DataFrame:
        return events_with_histories(reward_events(self.event_splits, self.drafts), self.histories)

    def scored(self, split: str = "validation") -> list[tuple[ScoredEvent, Text, bool]]:
        """Events of a split with their reason and outcome."""
        rows = (
            self.event_splits.filter(pl.col("split") == split)
            .join(self.histories, on="event_id")
            .join(self.drafts, on="event_id")
        )
        return [
            (
                ScoredEvent(row["item_id"], row["item_ids"], row["likes"], row["user_id"]),
                Text(row["verdict"], row["why"]),
                row["liked"],
            )
            for row in rows.iter_rows(named=True)
        ]


def plant(says: Callable[[bool, bool, np.random.Generator], str], seed: int = 7) -> World:
    """`says(liked, taste, rng)` is the verdict of a reason.

    Labels are coins that neither item nor history explains. A user's taste (a or b) is plain to
    see in the history.
    """
    rng = np.random.default_rng(seed)
    events, histories, drafts = [], [], []
    for user in range(90):
        taste = bool(rng.integers(2))
        family = "a" if taste else "b"
        for k in range(9):
            split = "validation" if k >= 6 else "train"
            fold = None if k >= 6 else ("policy" if user % 10 == 9 else "reward")
            name, liked = f"e{user}-{k}", bool(rng.integers(2))
            past = [f"{family}{i}" for i in rng.permutation(8)[:4]]
            item = f"{'ab'[rng.integers(2)]}{rng.integers(8)}"
            events.append((name, f"u{user}", item, liked, split, fold))
            histories.append((name, past, [True] * len(past)))
            if fold != "policy":
                drafts.append((name, says(liked, taste, rng), f"because {user} {k}"))
    columns = ["event_id", "user_id", "item_id", "liked", "split", "fold"]
    types = {"event_id": pl.String, "item_ids": pl.List(pl.String), "likes": pl.List(pl.Boolean)}
    return World(
        pl.DataFrame(events, schema=columns, orient="row"),
        pl.DataFrame(histories, schema=types, orient="row"),
        pl.DataFrame(drafts, schema=["event_id", "verdict", "why"], orient="row"),
    )


@dataclass(frozen=True)
class Trained:
    """A world with the model that was fitted on it."""

    world: World
    artifact: Artifact
    encoder: WordEncoder

    def scorer(self) -> RewardScorer:
        return RewardScorer.load(self.artifact, self.encoder)


def train(
    folder: Path, world: World, settings: RewardSettings = SETTINGS, seed: int = 1
) -> Trained:
    encoder = WordEncoder()
    metrics = build_reward_model(
        folder,
        world.frame(),
        world.drafts,
        encoder,
        settings=settings,
        encoder=ENCODER,
        seed=seed,
    )
    manifest = Manifest(
        asset="reward_model",
        fingerprint="f" * 16,
        data_version="d" * 16,
        code_version="1",
        metrics=dict(metrics),
        files=hash_files(folder),
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
    )
    return Trained(world, Artifact(folder, manifest), encoder)


@pytest.fixture(scope="session")
def telling(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """The reason says `yes` to what is liked and `no` to the rest, whoever the user is."""
    world = plant(lambda liked, _taste, _rng: "yes" if liked else "no")
    return train(tmp_path_factory.mktemp("telling"), world)


@pytest.fixture(scope="session")
def noisy(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """The reason says `yes` or `no` by a coin."""
    world = plant(lambda _liked, _taste, rng: "yes" if rng.integers(2) else "no")
    return train(tmp_path_factory.mktemp("noisy"), world)


@pytest.fixture(scope="session")
def personal(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """The reason means the opposite for users of the other taste: it needs the history."""
    world = plant(lambda liked, taste, _rng: "left" if liked == taste else "right")
    settings = SETTINGS.model_copy(update={"epochs": 30})
    return train(tmp_path_factory.mktemp("personal"), world, settings)


@pytest.fixture(scope="session")
def small_world() -> World:
    """A telling world of a few users."""
    world = plant(lambda liked, _taste, _rng: "yes" if liked else "no")
    few = pl.col("user_id").str.slice(1).cast(pl.Int64) < 20
    events = world.event_splits.filter(few)
    drafts = world.drafts.filter(pl.col("event_id").is_in(events["event_id"].to_list()))
    return World(events, world.histories, drafts)


@pytest.fixture
def make_trained(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Trained]:
    """Fit on a world, with settings changed by name."""

    def make(world: World, seed: int = 1, **changes: Any) -> Trained:
        settings = SETTINGS.model_copy(update=changes)
        return train(tmp_path_factory.mktemp("trained"), world, settings, seed)

    return make


@pytest.fixture
def word_encoder() -> WordEncoder:
    """The encoder of the planted worlds."""
    return WordEncoder()
