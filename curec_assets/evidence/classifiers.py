"""From numbers to log-odds, with exact contributions: boosted trees, logistic regression.

A classifier's log-odds are its base plus the sum of its contributions, one a number: products of
weight and standardised value, or TreeSHAP (Lundberg et al., "From local explanations to global
understanding with explainable AI for trees", 2020).
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
import numpy.typing as npt

from curec_assets.evidence.event_log import Floats
from curec_assets.settings import EvidenceSettings

Numbers = npt.NDArray[np.float32]

_CLIP = 4.0  # standard deviations at which a number ends for the regression
_PATIENCE = 30  # rounds without gain after which boosting ends


class Classifier(Protocol):
    """Log-odds of a like, as a sum."""

    def log_odds(self, numbers: Numbers) -> Floats:
        """(events, columns) → (events,)."""
        ...

    def contributions(self, numbers: Numbers) -> Floats:
        """(events, columns) → (events, columns); with the base they add up to the log-odds."""
        ...

    def save(self, folder: Path) -> None:
        """Write it as text."""
        ...


@dataclass(frozen=True)
class Logistic:
    """Logistic regression on standardised numbers that end at four standard deviations."""

    mean: Floats
    scale: Floats
    weights: Floats
    intercept: float

    @classmethod
    def fit(cls, numbers: Numbers, liked: Floats, settings: EvidenceSettings) -> Self:
        """`liked`: (events,) 0 or 1. Of one outcome only, the intercept says how often it came."""
        from sklearn.linear_model import LogisticRegression

        values = numbers.astype(np.float64)
        scale = values.std(axis=0)
        model = cls(
            values.mean(axis=0), np.where(scale > 0, scale, 1.0), np.zeros(values.shape[1]), 0.0
        )
        if len(np.unique(liked)) < 2:
            return cls(model.mean, model.scale, model.weights, base_log_odds(liked))
        fitted = LogisticRegression(C=1.0 / settings.logistic_penalty, max_iter=500).fit(
            model._standard(numbers), liked
        )
        return cls(model.mean, model.scale, fitted.coef_[0], float(fitted.intercept_[0]))

    def log_odds(self, numbers: Numbers) -> Floats:
        """See `Classifier`."""
        return self._standard(numbers) @ self.weights + self.intercept

    def contributions(self, numbers: Numbers) -> Floats:
        """See `Classifier`."""
        return self._standard(numbers) * self.weights

    def _standard(self, numbers: Numbers) -> Floats:
        values = (numbers.astype(np.float64) - self.mean) / self.scale
        return np.clip(values, -_CLIP, _CLIP)

    def save(self, folder: Path) -> None:
        """See `Classifier`."""
        values = {
            "mean": self.mean.tolist(),
            "scale": self.scale.tolist(),
            "weights": self.weights.tolist(),
            "intercept": self.intercept,
        }
        (folder / "logistic.json").write_text(json.dumps(values), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """What `save` wrote."""
        values = json.loads((folder / "logistic.json").read_text(encoding="utf-8"))
        return cls(
            np.array(values["mean"]),
            np.array(values["scale"]),
            np.array(values["weights"]),
            float(values["intercept"]),
        )


@dataclass(frozen=True)
class Boosted:
    """Boosted trees (LightGBM)."""

    booster: Any

    @classmethod
    def fit(
        cls, numbers: Numbers, liked: Floats, settings: EvidenceSettings, *, rounds: int, seed: int
    ) -> Self:
        """`rounds` trees on all of `numbers`."""
        import lightgbm

        return cls(
            lightgbm.train(
                _parameters(settings, seed), _dataset(numbers, liked), num_boost_round=rounds
            )
        )

    @classmethod
    def fit_until(
        cls,
        numbers: Numbers,
        liked: Floats,
        later: tuple[Numbers, Floats],
        settings: EvidenceSettings,
        *,
        most: int,
        seed: int,
    ) -> tuple[Self, int]:
        """As many trees as suit the `later` events best, at most `most`; and their number."""
        import lightgbm

        data = _dataset(numbers, liked)
        booster = lightgbm.train(
            _parameters(settings, seed),
            data,
            num_boost_round=most,
            valid_sets=[lightgbm.Dataset(later[0], later[1], reference=data)],
            callbacks=[lightgbm.early_stopping(_PATIENCE, verbose=False)],
        )
        return cls(booster), max(int(booster.best_iteration), 1)

    def log_odds(self, numbers: Numbers) -> Floats:
        """See `Classifier`."""
        return np.asarray(self.booster.predict(numbers, raw_score=True), dtype=np.float64)

    def contributions(self, numbers: Numbers) -> Floats:
        """See `Classifier`."""
        found = self.booster.predict(numbers, pred_contrib=True)
        return np.asarray(found, dtype=np.float64)[:, :-1]

    def save(self, folder: Path) -> None:
        """See `Classifier`."""
        self.booster.save_model(folder / "trees.txt")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """What `save` wrote."""
        import lightgbm

        return cls(lightgbm.Booster(model_file=folder / "trees.txt"))


def base_log_odds(liked: Floats) -> float:
    """Of the share of likes, with one like and one dislike more."""
    return float(np.log((liked.sum() + 1.0) / (len(liked) - liked.sum() + 1.0)))


def _dataset(numbers: Numbers, liked: Floats) -> Any:
    import lightgbm

    return lightgbm.Dataset(numbers, liked)


def _parameters(settings: EvidenceSettings, seed: int) -> dict[str, Any]:
    return {
        "objective": "binary",
        "learning_rate": settings.learning_rate,
        "num_leaves": settings.leaves,
        "min_data_in_leaf": settings.min_leaf_events,
        "lambda_l2": 10.0,
        "feature_fraction": 0.4,
        "bagging_fraction": 0.7,
        "bagging_freq": 1,
        "max_bin": 127,
        "seed": seed % 2**31,
        "deterministic": True,
        "force_row_wise": True,
        "feature_pre_filter": False,
        "num_threads": 1,  # the same trees on every machine
        "verbose": -1,
    }
