"""The parts of the recommender that read a row of numbers: boosted trees and a small MLP.

*Peer* numbers are counts, means, genre affinity and text cosine: what a recommender knows that does
not ask what other people's tastes say. *All* numbers add the evidence. Both are from strictly
earlier events, the same for training events and for candidates now.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt
import polars as pl

from curec_assets.core.seeds import derive
from curec_assets.evidence.classifiers import Boosted, Logistic, base_log_odds
from curec_assets.evidence.numbers import COLUMNS
from curec_assets.recommender.statistics import FEATURES
from curec_assets.settings import EvidenceSettings, RecommenderSettings

Floats = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.float32]

_CLIP = 4.0  # standard deviations at which a number ends for the MLP


@dataclass(frozen=True)
class Rows:
    """Queries (user, item, time) as numbers."""

    peer: Numbers
    """(queries, features): `FEATURES` and the text cosine."""
    all: Numbers
    """(queries, features): `COLUMNS`, what bias expects on both scales, then the peer's."""

    @classmethod
    def make(cls, evidence: pl.DataFrame, statistics: pl.DataFrame, cosine: Numbers) -> Self:
        """`evidence`: `COLUMNS`; `statistics`: `FEATURES`; `cosine`: (queries,)."""
        peer = np.column_stack([statistics.select(FEATURES).to_numpy(), cosine])
        expected = evidence.select(
            pl.col("item_mean") + pl.col("user_beats_ratings"),
            pl.col("item_like_rate") + pl.col("user_beats_likes"),
        )
        whole = np.column_stack([evidence.select(COLUMNS).to_numpy(), expected.to_numpy(), peer])
        return cls(peer.astype(np.float32), whole.astype(np.float32))

    def of(self, rows: npt.NDArray[np.bool_] | npt.NDArray[np.int64]) -> "Rows":
        """Some of them."""
        return Rows(self.peer[rows], self.all[rows])


def text_cosine(
    items: pl.Series, histories: pl.DataFrame, embeddings: pl.DataFrame
) -> npt.NDArray[np.float32]:
    """(queries,) cosine of each item's text and the mean text of the user's liked history.

    `histories`: item_ids, likes (lists) of each query. 0 where either is not known.
    """
    ids = embeddings["item_id"]
    vectors = embeddings["embedding"].to_numpy().astype(np.float32)
    place = pl.DataFrame({"id": ids}).with_row_index("row")
    wanted = pl.DataFrame({"id": items}).join(place, on="id", how="left", maintain_order="left")
    liked = (
        histories.select("item_ids", "likes")
        .with_row_index("query")
        .filter(pl.col("item_ids").list.len() > 0)
        .explode("item_ids", "likes")
        .filter("likes")
        .join(place, left_on="item_ids", right_on="id")
    )
    sums = np.zeros((len(items), vectors.shape[1]), dtype=np.float32)
    np.add.at(sums, liked["query"].to_numpy(), vectors[liked["row"].to_numpy()])
    norms = np.maximum(np.linalg.norm(sums, axis=1), 1e-9)
    known = wanted["row"].is_not_null().to_numpy()
    own = vectors[wanted["row"].fill_null(0).to_numpy()]
    cosine: npt.NDArray[np.float32] = ((sums / norms[:, None]) * own).sum(axis=1)
    return np.where(known, cosine, 0.0).astype(np.float32)


@dataclass(frozen=True)
class Mlp:
    """One hidden layer of ReLU on standardised numbers: the mean of several trainings, side by
    side.
    """

    mean: Floats
    scale: Floats
    hidden: Floats  # (numbers, units)
    hidden_bias: Floats
    output: Floats  # (units,)
    output_bias: float

    @classmethod
    def fit(cls, numbers: Numbers, liked: Floats, settings: RecommenderSettings, seed: int) -> Self:
        """scikit-learn's `MLPClassifier`, once a seed; of one outcome only, it says how often it
        came.
        """
        import warnings

        from sklearn.exceptions import ConvergenceWarning
        from sklearn.neural_network import MLPClassifier

        mean = numbers.mean(axis=0, dtype=np.float64)
        scale = np.maximum(numbers.std(axis=0, dtype=np.float64), 1e-6)
        if len(np.unique(liked)) < 2:
            size = settings.mlp_units
            nothing = np.zeros((numbers.shape[1], size))
            return cls(mean, scale, nothing, np.zeros(size), np.zeros(size), base_log_odds(liked))
        models = [
            MLPClassifier(
                (settings.mlp_units,),
                alpha=settings.mlp_penalty,
                batch_size=min(512, len(liked)),
                learning_rate_init=settings.mlp_learning_rate,
                max_iter=settings.mlp_epochs,
                random_state=derive(seed, "mlp", number) % 2**32,
            )
            for number in range(settings.seeds)
        ]
        standard = _standard(numbers, mean, scale)
        with warnings.catch_warnings():
            # The number of epochs is a setting, not a failure to converge.
            warnings.simplefilter("ignore", ConvergenceWarning)
            for model in models:
                model.fit(standard, liked)
        return cls(
            mean,
            scale,
            np.concatenate([model.coefs_[0] for model in models], axis=1),
            np.concatenate([model.intercepts_[0] for model in models]),
            np.concatenate([model.coefs_[1][:, 0] for model in models]) / len(models),
            float(np.mean([model.intercepts_[1][0] for model in models])),
        )

    def log_odds(self, numbers: Numbers) -> Floats:
        """(queries, numbers) → (queries,)."""
        hidden = _standard(numbers, self.mean, self.scale) @ self.hidden + self.hidden_bias
        found: Floats = np.maximum(hidden, 0.0) @ self.output + self.output_bias
        return found

    def save(self, folder: Path) -> None:
        """Write `mlp.safetensors`."""
        from safetensors.numpy import save_file

        arrays = {name: np.ascontiguousarray(getattr(self, name)) for name in _ARRAYS}
        save_file({**arrays, "output_bias": np.array([self.output_bias])}, folder / _MLP)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """What `save` wrote."""
        from safetensors.numpy import load_file

        arrays = load_file(folder / _MLP)
        bias = float(arrays.pop("output_bias")[0])
        return cls(**arrays, output_bias=bias)


@dataclass(frozen=True)
class Bagged:
    """Boosted trees of several seeds: the mean of their log-odds."""

    parts: tuple[Boosted, ...]

    def log_odds(self, numbers: Numbers) -> Floats:
        """(queries, numbers) → (queries,)."""
        found: Floats = np.mean([part.log_odds(numbers) for part in self.parts], axis=0)
        return found

    def save(self, folder: Path) -> None:
        """Write a folder for each seed."""
        for number, part in enumerate(self.parts):
            (folder / str(number)).mkdir()
            part.save(folder / str(number))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """What `save` wrote."""
        folders = sorted(folder.iterdir(), key=lambda path: int(path.name))
        return cls(tuple(map(Boosted.load, folders)))


_MLP = "mlp.safetensors"
_ARRAYS = ("mean", "scale", "hidden", "hidden_bias", "output")


@dataclass(frozen=True)
class TabularParts:
    """Every part that reads `Rows`; `log_odds` gives them by name."""

    best_peer: Bagged
    statistics: Logistic
    numbers: Bagged
    mlp: Mlp
    rounds: dict[str, int]

    @classmethod
    def fit(
        cls,
        rows: Rows,
        liked: Floats,
        train: npt.NDArray[np.bool_],
        validation: npt.NDArray[np.bool_],
        *,
        evidence: EvidenceSettings,
        settings: RecommenderSettings,
        seed: int,
    ) -> Self:
        """On the events `train`; the numbers of trees are chosen on `validation`."""
        rounds: dict[str, int] = {}

        def boosted(name: str, numbers: Numbers) -> Bagged:
            parts = []
            for number in range(settings.seeds):
                part, rounds[f"{name}-{number}"] = Boosted.fit_until(
                    numbers[train],
                    liked[train],
                    (numbers[validation], liked[validation]),
                    evidence,
                    most=settings.max_trees,
                    seed=derive(seed, name, number),
                )
                parts.append(part)
            return Bagged(tuple(parts))

        return cls(
            boosted("best_peer", rows.peer),
            Logistic.fit(rows.peer[train], liked[train], evidence),
            boosted("numbers", rows.all),
            Mlp.fit(rows.all[train], liked[train], settings, seed),
            rounds,
        )

    def log_odds(self, rows: Rows) -> dict[str, Floats]:
        """Part → (queries,)."""
        return {
            "best_peer": self.best_peer.log_odds(rows.peer),
            "statistics": self.statistics.log_odds(rows.peer),
            "numbers": self.numbers.log_odds(rows.all),
            "mlp": self.mlp.log_odds(rows.all),
        }

    def save(self, folder: Path) -> None:
        """Write a folder for each part."""
        for name in ("best_peer", "statistics", "numbers", "mlp"):
            (folder / name).mkdir(parents=True)
            getattr(self, name).save(folder / name)
        (folder / "rounds.json").write_text(json.dumps(self.rounds), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """What `save` wrote."""
        return cls(
            Bagged.load(folder / "best_peer"),
            Logistic.load(folder / "statistics"),
            Bagged.load(folder / "numbers"),
            Mlp.load(folder / "mlp"),
            json.loads((folder / "rounds.json").read_text(encoding="utf-8")),
        )


def _standard(numbers: Numbers, mean: Floats, scale: Floats) -> Floats:
    standard: Floats = np.clip((numbers.astype(np.float64) - mean) / scale, -_CLIP, _CLIP)
    return standard
