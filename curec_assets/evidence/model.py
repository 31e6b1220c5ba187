"""The evidence model: numbers → probability of a like, and what each kind of fact contributes.

    log-odds = offset + sum over parts of weight * the part's log-odds

Parts are the classifiers that the settings choose. Weights and offset blend and calibrate at once:
they are fitted (not below zero, drawn to an even blend) on forward predictions, those of parts that
had seen only earlier events. All of it is linear in log-odds, so contributions stay exact.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import polars as pl

from curec_assets.core.seeds import derive
from curec_assets.evidence.classifiers import Boosted, Classifier, Logistic, Numbers
from curec_assets.evidence.event_log import Floats, Ints
from curec_assets.evidence.numbers import COLUMNS, KIND_OF
from curec_assets.evidence.schema import GROUPS
from curec_assets.settings import EvidenceSettings
from resources.errors import ArtifactError

Mask = npt.NDArray[np.bool_]

_PARTS: Mapping[str, Any] = {"trees": Boosted, "logistic": Logistic}
_DRAWN = 10.0  # events' worth of pull towards an even, uncalibrated blend
_FEWEST = 40  # events, of both outcomes, that a part of the fit needs to be divided by time


@dataclass(frozen=True)
class EvidenceModel:
    """Classifiers, blended and calibrated."""

    parts: Mapping[str, Classifier]
    weights: Floats
    """(parts,)."""
    offset: float

    @classmethod
    def fit(
        cls, numbers: pl.DataFrame, events: pl.DataFrame, settings: EvidenceSettings, seed: int
    ) -> Self:
        """`numbers`: `COLUMNS` of each of `events` (timestamp, liked), in any order.

        The last events (`held_out`) choose the number of trees, the weights and the offset; then
        the parts are fitted again, on everything.
        """
        values, liked = matrix(numbers), events["liked"].to_numpy().astype(np.float64)
        seed = derive(seed, "evidence model")
        last = _last(events["timestamp"].to_numpy(), settings.held_out)
        if not _both(liked, last):
            return cls._fit_whole(values, liked, settings)
        early: dict[str, Classifier] = {}
        rounds = 0
        if settings.model != "logistic":
            early["trees"], rounds = Boosted.fit_until(
                values[~last],
                liked[~last],
                (values[last], liked[last]),
                settings,
                most=settings.max_trees,
                seed=seed,
            )
        if settings.model != "lightgbm":
            early["logistic"] = Logistic.fit(values[~last], liked[~last], settings)
        forward = np.column_stack([part.log_odds(values[last]) for part in early.values()])
        weights, offset = blend(forward, liked[last])
        parts: dict[str, Classifier] = {
            name: Boosted.fit(values, liked, settings, rounds=rounds, seed=seed)
            if name == "trees"
            else Logistic.fit(values, liked, settings)
            for name in early
        }
        return cls(parts, weights, offset)

    @classmethod
    def _fit_whole(cls, values: Numbers, liked: Floats, settings: EvidenceSettings) -> Self:
        """Too little to hold anything out: the penalised regression alone, as it is."""
        return cls({"logistic": Logistic.fit(values, liked, settings)}, np.ones(1), 0.0)

    def log_odds(self, numbers: pl.DataFrame) -> Floats:
        """(events,) of `COLUMNS`."""
        values = matrix(numbers)
        found = np.full(len(values), self.offset)
        for weight, part in zip(self.weights, self.parts.values(), strict=True):
            found += weight * part.log_odds(values)
        return found

    def probabilities(self, numbers: pl.DataFrame) -> Floats:
        """(events,) strictly between 0 and 1."""
        return to_probability(self.log_odds(numbers))

    def contributions(self, numbers: pl.DataFrame) -> Floats:
        """(events, `GROUPS`) in log-odds: with the model's base they add up to `log_odds`."""
        values = matrix(numbers)
        found = np.zeros((len(values), len(GROUPS)))
        place = np.array([GROUPS.index(KIND_OF[column]) for column in COLUMNS])
        for weight, part in zip(self.weights, self.parts.values(), strict=True):
            each = weight * part.contributions(values)
            for group in range(len(GROUPS)):
                found[:, group] += each[:, place == group].sum(axis=1)
        return found

    def save(self, folder: Path) -> None:
        """Text and JSON files, in a new folder."""
        folder.mkdir(parents=True)
        for part in self.parts.values():
            part.save(folder)
        values = {
            "columns": list(COLUMNS),
            "parts": list(self.parts),
            "weights": self.weights.tolist(),
            "offset": self.offset,
        }
        (folder / "model.json").write_text(json.dumps(values), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """What `save` wrote. Raises `ArtifactError` when it is of other numbers."""
        values = json.loads((folder / "model.json").read_text(encoding="utf-8"))
        if values["columns"] != list(COLUMNS):
            changed = sorted(set(values["columns"]) ^ set(COLUMNS))
            raise ArtifactError(
                f"{folder} was fitted on other evidence numbers than are made now "
                f"({', '.join(changed) or 'another order'}); materialise `evidence_model` again"
            )
        parts: dict[str, Classifier] = {name: _PARTS[name].load(folder) for name in values["parts"]}
        return cls(parts, np.array(values["weights"]), float(values["offset"]))


def matrix(numbers: pl.DataFrame) -> Numbers:
    """(events, `COLUMNS`)."""
    return numbers.select(COLUMNS).to_numpy().astype(np.float32, copy=False)


def to_probability(log_odds: Floats) -> Floats:
    """Strictly between 0 and 1."""
    clipped: Floats = 1.0 / (1.0 + np.exp(-np.clip(log_odds, -15.0, 15.0)))
    return clipped


def blend(log_odds: Floats, liked: Floats) -> tuple[Floats, float]:
    """Weights (parts,) and offset that suit `liked` best, of log-odds (events, parts)."""
    from scipy.optimize import minimize

    parts = log_odds.shape[1]
    start = np.append(np.full(parts, 1.0 / parts), 0.0)
    features = np.column_stack([log_odds, np.ones(len(log_odds))])

    def loss(weights: Floats) -> tuple[float, Floats]:
        scores = features @ weights
        away = weights - start
        value = np.logaddexp(0.0, scores).sum() - liked @ scores + 0.5 * _DRAWN * away @ away
        slope = features.T @ (1.0 / (1.0 + np.exp(-scores)) - liked) + _DRAWN * away
        return float(value), slope

    bounds = [(0.0, None)] * parts + [(None, None)]
    found = minimize(loss, start, jac=True, bounds=bounds, method="L-BFGS-B").x
    return found[:-1], float(found[-1])


def _last(times: Ints, share: float) -> Mask:
    """(events,) whether an event is among the last; a timestamp is never divided."""
    last: Mask = times >= np.quantile(times, 1.0 - share, method="higher")
    return last


def _both(liked: Floats, last: Mask) -> bool:
    """Whether either side has enough events, of both outcomes."""
    return all(
        len(side) >= _FEWEST and 0.0 < side.mean() < 1.0 for side in (liked[last], liked[~last])
    )
