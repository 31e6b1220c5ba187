"""The gate: does a reason tell the readers something, and something about *this* event?

On validation events that have a drafted reason, three predictions of the same reader are compared:
with the reason, with the null, and with another user's reason. A reader's gate is passed when
AUC(reason) > AUC(null) and AUC(reason) > AUC(shuffled), both by a paired bootstrap over users (95 %
interval of the difference above 0); of the plain reader, whose null is a constant of AUC 0.5. The
gain in nats, LogLoss(null) - LogLoss(reason), stands beside it. Optimising a reward that fails this
would be optimising noise. The gate and its bootstrap are our choice. numpy only: usable wherever a
manifest is.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from curec_assets.evaluation.bootstrap import (
    Interval,
    Resamples,
    interval,
    weighted_auc,
    weighted_mean,
)
from resources.errors import ArtifactError
from resources.storage.manifest import Manifest

Scores = NDArray[np.float64]


@dataclass(frozen=True)
class ReaderGate:
    """Outcome for one reader. Undecidable (see `n_*`): AUCs of 0.5 with interval 0 to 1."""

    reason: Interval
    """AUC with the event's own reason."""
    null: Interval
    """AUC with the null."""
    shuffled: Interval
    """AUC with another user's reason, mean over several shuffles."""
    over_null: Interval
    """AUC(reason) - AUC(null), paired."""
    over_shuffled: Interval
    """AUC(reason) - AUC(shuffled), paired."""
    gain: Interval
    """LogLoss(null) - LogLoss(reason), paired, in nats per event."""
    n_events: int
    n_liked: int
    n_users: int
    unit: str
    """What the bootstrap draws: `users`, or `events` where there are fewer than 10 users."""

    @property
    def passed(self) -> bool:
        """Whether both differences of AUC are surely above 0."""
        return self.over_null.low > 0.0 and self.over_shuffled.low > 0.0

    def __str__(self) -> str:
        """For people."""
        return (
            f"{'passed' if self.passed else 'FAILED'}: AUC with the reason {self.reason}, null "
            f"{self.null}, shuffled {self.shuffled}; reason - null {self.over_null}, reason - "
            f"shuffled {self.over_shuffled}; gain {self.gain} nats"
        )

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "ReaderGate":
        """From `asdict`. Raises `KeyError` or `TypeError` when `values` is no such gate."""
        known: dict[str, Any] = {
            name: Interval(**value) if isinstance(value, Mapping) else value
            for name, value in values.items()
            if name != "passed"
        }
        return cls(**known)


@dataclass(frozen=True)
class Gate:
    """The gates of both readers, on the same events."""

    recommender: ReaderGate
    """Of the recommender-shaped reader: item, history and reason."""
    reader: ReaderGate
    """Of the plain reader: the reason alone."""

    @property
    def passed(self) -> bool:
        """Whether both are passed."""
        return self.recommender.passed and self.reader.passed

    def __str__(self) -> str:
        """A few sentences for people."""
        events = self.reader
        return (
            f"{'passed' if self.passed else 'FAILED'} on {events.n_events} validation events "
            f"({events.n_liked} liked) of {events.n_users} users, bootstrap over {events.unit}. "
            f"Recommender-shaped reader {self.recommender}. Plain reader {self.reader}"
        )

    def to_json(self) -> dict[str, Any]:
        """Plain JSON, for a manifest; `passed` is included for readers of the file."""
        return {
            "passed": self.passed,
            "recommender": {**asdict(self.recommender), "passed": self.recommender.passed},
            "reader": {**asdict(self.reader), "passed": self.reader.passed},
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Gate":
        """The inverse of `to_json`. Raises `KeyError` or `TypeError` when `values` is no gate."""
        return cls(
            ReaderGate.from_json(values["recommender"]), ReaderGate.from_json(values["reader"])
        )


def decide(
    *,
    liked: NDArray[np.bool_],
    users: NDArray[np.str_],
    with_reason: Scores,
    with_null: Scores,
    with_shuffled: Scores,
    rng: np.random.Generator,
    samples: int,
    least_users: int,
) -> ReaderGate:
    """Compare one reader's log-odds of a like of the same n events.

    `liked`, `users`, `with_reason`, `with_null`: (n,). `with_shuffled`: (shuffles, n), 0 shuffles
    when the events are all of one user. `samples`: bootstrap resamples, of users, or
    of events where there are fewer than `least_users`: too few units to mean anything.
    """
    n_users = len(np.unique(users))
    unit = "users" if n_users >= least_users else "events"
    make = partial(
        ReaderGate, n_events=len(liked), n_liked=int(liked.sum()), n_users=n_users, unit=unit
    )
    if liked.all() or not liked.any() or not len(with_shuffled):
        unknown, difference = Interval(0.5, 0.0, 1.0), Interval(0.0, -1.0, 1.0)
        return make(unknown, unknown, unknown, difference, difference, difference)
    if unit == "users":
        drawn = np.unique(users, return_inverse=True)[1].astype(np.int64)
    else:
        drawn = np.arange(len(liked), dtype=np.int64)
    units = int(drawn.max()) + 1
    resamples = Resamples.draw(rng, users=units, seeds=1, samples=samples)

    def auc(scores: Scores) -> Scores:  # (samples + 1,), the first of the events as they are
        return weighted_auc(resamples.users, drawn, liked, scores)

    sign = np.where(liked, 1.0, -1.0)
    gains = np.logaddexp(0.0, -sign * with_null) - np.logaddexp(0.0, -sign * with_reason)
    mean_gain = weighted_mean(
        resamples.users,
        np.bincount(drawn, weights=gains, minlength=units).astype(np.float64),
        np.bincount(drawn, minlength=units).astype(np.float64),
    )
    reason, null = auc(with_reason), auc(with_null)
    shuffled = np.mean([auc(scores) for scores in with_shuffled], axis=0)
    return make(
        reason=interval(reason),
        null=interval(null),
        shuffled=interval(shuffled),
        over_null=interval(reason - null),
        over_shuffled=interval(reason - shuffled),
        gain=interval(mean_gain),
    )


def require_gate(manifest: Manifest, gate_blocks: bool) -> None:
    """Refuse a reward model whose gate failed, when failed gates block.

    The check `reward_gate` tells and does not block, so that it never holds the fast lane back.
    Raises `ArtifactError`.
    """
    gate = stored_gate(manifest)
    if gate_blocks and not gate.passed:
        raise ArtifactError(
            f"reward model {manifest.fingerprint}: the gate {gate}. Reinforcement learning on it "
            "would optimise noise. Raise reward.draft_train and reward.draft_validation, or "
            "improve the aligned model; reward.gate_blocks=false continues all the same"
        )


def stored_gate(manifest: Manifest) -> Gate:
    """The gate in a reward model's manifest. Raises `ArtifactError` when there is none."""
    try:
        return Gate.from_json(manifest.metrics["gate"])
    except (KeyError, TypeError) as error:
        raise ArtifactError(
            f"the manifest of {manifest.asset!r} {manifest.fingerprint} holds no readable gate "
            f"({error!r}); materialise the asset 'reward_model' again"
        ) from error
