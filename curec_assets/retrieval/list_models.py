"""What orders a list: LambdaMART, or a linear conditional logit. Both learn from whole lists.

A list is a liked item among other candidates of the same user and moment.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
import numpy.typing as npt

from curec_assets.evidence.event_log import Ints
from curec_assets.retrieval.timeline import Floats
from curec_assets.settings import RankingSettings
from resources.errors import ArtifactError

FALLBACK = {"ease_all_place": 1.0, "ease_likes_place": 1.0, "likes": 0.1}
"""Weights of the features that order where no list has taught anything."""
_LEAST_LISTS = 50  # fewer grow no trees


@dataclass(frozen=True)
class Lists:
    """Candidates of many queries, list after list."""

    features: Floats
    """(candidates, features)."""
    liked: npt.NDArray[np.bool_]
    """(candidates,) one in each list."""
    sizes: Ints
    """(lists,) candidates of each."""

    def __len__(self) -> int:
        return len(self.sizes)


class ListModel(Protocol):
    """Gives each candidate a score; only the order within a list means something."""

    def scores(self, features: Floats) -> Floats:
        """(candidates,) scores from (candidates, features)."""
        ...

    def weights(self) -> Mapping[str, float]:
        """Feature → how much it counts."""
        ...

    def save(self, folder: Path) -> None:
        """Write the model into a folder."""
        ...


@dataclass(frozen=True)
class LinearModel:
    """Conditional logit: a softmax over the list of a weighted sum.

    Of every feature it weighs the standardised value, its square, and the standardised logarithm:
    scores of retrievers are far from linear (on validation, this closes most of the way to trees).
    """

    names: tuple[str, ...]
    mean: Floats
    scale: Floats
    """(2 x features,) of features and their logarithms."""
    weight: Floats
    """(3 x features,)."""

    @classmethod
    def fit(cls, names: tuple[str, ...], lists: Lists, settings: RankingSettings) -> Self:
        """Maximum likelihood with a ridge. Without any list: the order of `FALLBACK`."""
        from scipy.optimize import minimize

        if not len(lists):
            mean, scale = np.zeros(2 * len(names)), np.ones(2 * len(names))
            weight = [FALLBACK.get(name, 0.0) for name in names] + [0.0] * 2 * len(names)
            return cls._of(names, mean, scale, weight)
        logs = np.concatenate([lists.features, _logarithms(lists.features)], axis=1)
        mean, scale = logs.mean(axis=0), logs.std(axis=0)
        scale = np.where(scale > 1e-6, scale, 1.0)
        terms = _terms(lists.features, mean, scale)
        starts = np.concatenate([[0], np.cumsum(lists.sizes)[:-1]])
        liked = terms[lists.liked].sum(axis=0).astype(np.float64)

        def loss(weight: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
            value = terms @ weight.astype(np.float32)
            top = np.maximum.reduceat(value, starts)
            odds = np.exp(value - np.repeat(top, lists.sizes))
            total = np.add.reduceat(odds, starts)
            chance = odds / np.repeat(total, lists.sizes)
            nats = (np.log(total) + top).sum(dtype=np.float64) - liked @ weight
            slope = (chance @ terms).astype(np.float64) - liked
            penalty = settings.ridge * weight
            return nats + 0.5 * penalty @ weight, slope + penalty

        start = np.zeros(terms.shape[1])
        found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 60})
        return cls._of(names, mean, scale, found.x)

    @classmethod
    def _of(cls, names: tuple[str, ...], *arrays: npt.ArrayLike) -> Self:
        return cls(names, *(np.asarray(array, dtype=np.float32) for array in arrays))

    def scores(self, features: Floats) -> Floats:
        """See `ListModel`."""
        found: Floats = _terms(features, self.mean, self.scale) @ self.weight
        return found

    def weights(self) -> Mapping[str, float]:
        """Feature → weight of one standard deviation, in log-odds, of its three terms together."""
        each = np.abs(self.weight.reshape(3, -1)).sum(axis=0)
        return dict(zip(self.names, map(float, each), strict=True))

    def save(self, folder: Path) -> None:
        """Write `linear.json`."""
        values = {name: getattr(self, name).tolist() for name in ("mean", "scale", "weight")}
        text = json.dumps({"names": self.names, **values})
        (folder / "linear.json").write_text(text, encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The inverse of `save`."""
        values = json.loads((folder / "linear.json").read_text(encoding="utf-8"))
        arrays = (values[name] for name in ("mean", "scale", "weight"))
        return cls._of(tuple(values["names"]), *arrays)


def _logarithms(features: Floats) -> Floats:
    """Of what is above 0; the constant keeps them finite."""
    logarithms: Floats = np.log(np.maximum(features, 0.0) + 0.01).astype(np.float32)
    return logarithms


def _terms(
    features: Floats, mean: npt.NDArray[np.floating], scale: npt.NDArray[np.floating]
) -> Floats:
    """(candidates, 3 x features) what the linear model weighs."""
    both = np.concatenate([features, _logarithms(features)], axis=1)
    standard = np.clip((both - mean) / scale, -8.0, 8.0).astype(np.float32)
    return np.concatenate([standard, standard[:, : features.shape[1]] ** 2], axis=1)


@dataclass(frozen=True)
class TreeModel:
    """LambdaMART: boosted trees for NDCG (LightGBM)."""

    booster: Any

    @classmethod
    def fit(
        cls,
        names: tuple[str, ...],
        lists: Lists,
        validation: Lists,
        settings: RankingSettings,
        seed: int,
    ) -> Self:
        """Stops when NDCG@10 of the validation lists no longer rises."""
        import lightgbm

        parameters = {
            "objective": "lambdarank",
            "metric": "ndcg",
            "eval_at": [10],
            "lambdarank_truncation_level": 30,
            "num_leaves": settings.leaves,
            "learning_rate": settings.learning_rate,
            "min_data_in_leaf": min(100, max(1, len(lists.liked) // 20)),
            "feature_fraction": 0.7,
            "bagging_fraction": 0.8,
            "bagging_freq": 1,
            "bagging_by_query": True,
            "lambda_l2": 5.0,
            "seed": seed % 2**31,
            "deterministic": True,  # of sums over rows; those over lists depend on the threads
            "num_threads": 1,
            "force_row_wise": True,
            "verbosity": -1,
        }
        train = lightgbm.Dataset(
            lists.features, lists.liked.astype(int), group=lists.sizes, feature_name=list(names)
        )
        watched: list[Any] = []
        callbacks: list[Callable[..., Any]] = []
        if len(validation):
            watched.append(
                lightgbm.Dataset(
                    validation.features,
                    validation.liked.astype(int),
                    group=validation.sizes,
                    reference=train,
                )
            )
            callbacks.append(lightgbm.early_stopping(settings.patience, verbose=False))
        return cls(
            lightgbm.train(
                parameters, train, settings.rounds, valid_sets=watched, callbacks=callbacks
            )
        )

    def scores(self, features: Floats) -> Floats:
        """See `ListModel`."""
        if not len(features):
            return np.zeros(0, np.float32)
        return np.asarray(self.booster.predict(features), dtype=np.float32)

    def weights(self) -> Mapping[str, float]:
        """Feature → share of the gain."""
        gains = self.booster.feature_importance("gain")
        shares = gains / max(gains.sum(), 1e-9)
        return dict(zip(self.booster.feature_name(), map(float, shares), strict=True))

    def save(self, folder: Path) -> None:
        """Write `trees.txt`."""
        text = self.booster.model_to_string()  # up to the best round
        (folder / "trees.txt").write_text(text, encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The inverse of `save`."""
        import lightgbm

        text = (folder / "trees.txt").read_text(encoding="utf-8")
        return cls(lightgbm.Booster(model_str=text))


def fit_models(
    names: tuple[str, ...],
    lists: Lists,
    validation: Lists,
    settings: RankingSettings,
    seed: int,
) -> dict[str, ListModel]:
    """Kind of `settings.model` → model; where lists are too few for trees, both are linear."""
    linear = LinearModel.fit(names, lists, settings)
    if len(lists) < _LEAST_LISTS:
        return {"lightgbm": linear, "linear": linear}
    trees = TreeModel.fit(names, lists, validation, settings, seed)
    return {"lightgbm": trees, "linear": linear}


def load_model(folder: Path) -> ListModel:
    """The model that was saved into a folder. Raises `ArtifactError`."""
    kind = TreeModel if (folder / "trees.txt").exists() else LinearModel
    try:
        return kind.load(folder)
    except Exception as error:  # LightGBM has its own errors
        raise ArtifactError(
            f"the ranker in {folder} cannot be read ({error!r}); move the folder away and "
            "materialise the asset 'recommender_ranking' again"
        ) from error
