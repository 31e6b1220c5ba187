"""`RewardScorer`: what a reason is worth, by the stored reward model.

Used by reinforcement learning (its reward) and by the chronological correction (is a reason
contradicted by the outcome?). A score depends on the event and the reason only, never on what else
is in the batch.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np
import torch
from numpy.typing import NDArray

from curec_assets.core.provenance import digest
from curec_assets.core.seeds import random_generator
from curec_assets.networks.vocabulary import Vocabulary
from curec_assets.reward.dataset import PooledHistory, pad_histories
from curec_assets.reward.model import RewardNetwork
from curec_assets.reward.storage import Description, read_model
from resources.errors import ArtifactError, DataError
from resources.storage.model_store import Artifact

Scores = NDArray[np.float64]

_BATCH = 1024


class Encoder(Protocol):
    """What is needed of the `text_encoder` resource."""

    def encode(self, texts: Sequence[str], *, source: str, batch_size: int) -> NDArray[Any]:
        """(n, d) embeddings of `texts`, of unit length."""
        ...


@dataclass(frozen=True)
class ScoredEvent:
    """A candidate item for a user, known by what the user did before."""

    item_id: str
    history_item_ids: Sequence[str]
    """Oldest first; items unknown to the model count as one and the same unknown item."""
    history_likes: Sequence[bool]
    user_id: str = ""
    """Only used not to take the user's own history for another's."""


class RewardScorer:
    """Gains of reasons in nats; float64, so that batches do not change results."""

    def __init__(
        self,
        network: RewardNetwork,
        description: Description,
        text_encoder: Encoder,
        *,
        encoder_batch_size: int = 64,
        device: str = "cpu",
    ) -> None:
        """Use `load` for a stored model."""
        self._network = network.to(device).double().eval()
        self._description = description
        self._vocabulary = Vocabulary(description.item_ids)
        self._encoder = text_encoder
        self._encoder_batch_size = encoder_batch_size
        self._device = device

    @classmethod
    def load(
        cls,
        artifact: Artifact,
        text_encoder: Encoder,
        *,
        encoder_batch_size: int = 64,
        device: str = "cpu",
    ) -> Self:
        """The scorer stored in `artifact` (asset `reward_model`).

        Raises `ArtifactError` when its files do not fit together.
        """
        network, description = read_model(artifact.path)
        return cls(
            network,
            description,
            text_encoder,
            encoder_batch_size=encoder_batch_size,
            device=device,
        )

    def gain(
        self, events: Sequence[ScoredEvent], reasons: Sequence[str], outcomes: Sequence[bool]
    ) -> Scores:
        """(n,) log p(outcome | user, item, reason) - log p(outcome | user, item, null), in nats.

        Positive where the reason helps to tell the outcome, negative where it misleads. An empty
        reason says nothing: exactly 0.
        """
        _same_length(events, reasons, outcomes)
        return self._gain(events, self._encode(reasons), _blank_reasons(reasons), outcomes)

    def user_independent_gain(
        self,
        events: Sequence[ScoredEvent],
        reasons: Sequence[str],
        outcomes: Sequence[bool],
        *,
        histories: int = 4,
    ) -> Scores:
        """The mean gain if the events had other users' histories: (n,), in nats.

        It is the part of `gain` that is not about this user. `histories`: how many are lent to an
        event; which ones depends on the model's seed and on the event, not on the batch.
        """
        _same_length(events, reasons, outcomes)
        lent: list[ScoredEvent] = []
        owner: list[int] = []
        for index, event in enumerate(events):
            for other in self._others(event, histories):
                lent.append(ScoredEvent(event.item_id, other.item_ids, other.likes))
                owner.append(index)
        encoded = self._encode(reasons)[owner]
        empty = _blank_reasons(reasons)[owner]
        gains = self._gain(lent, encoded, empty, [outcomes[index] for index in owner])
        totals = np.bincount(owner, weights=gains, minlength=len(events))
        means: Scores = totals / np.bincount(owner, minlength=len(events)).clip(min=1)
        return means

    def probability(
        self, events: Sequence[ScoredEvent], reasons: Sequence[str] | None = None
    ) -> Scores:
        """p(liked) with the reasons, or with the null for all when None: (n,)."""
        if reasons is None:
            logits, _ = self._logits(events, None, None)
        else:
            _same_length(events, reasons, reasons)
            present = ~_blank_reasons(reasons)
            logits, _ = self._logits(events, self._encode(reasons), present)
        return np.exp(-np.logaddexp(0.0, -logits))

    def _gain(
        self,
        events: Sequence[ScoredEvent],
        encoded: NDArray[Any],
        empty: NDArray[np.bool_],
        outcomes: Sequence[bool],
    ) -> Scores:
        logits, null = self._logits(events, encoded, ~empty)
        sign = np.where(np.asarray(outcomes, dtype=bool), 1.0, -1.0)
        # log sigmoid(x) = -log(1 + exp(-x)), which does not overflow
        gains: Scores = np.logaddexp(0.0, -sign * null) - np.logaddexp(0.0, -sign * logits)
        return np.where(empty, 0.0, gains)

    def _logits(
        self,
        events: Sequence[ScoredEvent],
        encoded: NDArray[Any] | None,
        present: NDArray[np.bool_] | None,
    ) -> tuple[Scores, Scores]:
        """Logits with the reasons and with the null, (n,) each."""
        history, signals = pad_histories(
            self._vocabulary,
            [(event.history_item_ids, event.history_likes) for event in events],
            self._description.positions,
        )
        items = np.array(self._vocabulary.rows(e.item_id for e in events), dtype=np.int64)
        parts: list[tuple[Scores, Scores]] = [(np.empty(0), np.empty(0))]
        with torch.inference_mode():
            for start in range(0, len(events), _BATCH):
                rows = slice(start, start + _BATCH)
                context = self._network.context(
                    self._tensor(items[rows]),
                    self._tensor(history[rows]),
                    self._tensor(signals[rows]),
                )
                null = self._network.head(context, None, None)
                logits = null
                if encoded is not None and present is not None:
                    text = self._tensor(encoded[rows]).double()
                    logits = self._network.head(context, text, self._tensor(present[rows]))
                parts.append((logits.cpu().numpy(), null.cpu().numpy()))
        return np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])

    def _tensor(self, values: NDArray[Any]) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(values)).to(self._device)

    def _encode(self, reasons: Sequence[str]) -> NDArray[Any]:
        if not reasons:
            return np.empty((0, self._description.shape.text_dim))
        encoded = self._encoder.encode(
            list(reasons),
            source=self._description.encoder_source,
            batch_size=self._encoder_batch_size,
        )
        if encoded.shape[1] != self._description.shape.text_dim:
            raise ArtifactError(
                f"text encoder {self._description.encoder_source!r} gave {encoded.shape[1]} "
                f"dimensions, but the reward model was fitted on {self._description.shape.text_dim}"
                "; materialise the asset 'reward_model' again"
            )
        return encoded

    def _others(self, event: ScoredEvent, count: int) -> list[PooledHistory]:
        """`count` histories of other users (all there are, if fewer), chosen by the event."""
        eligible = [h for h in self._description.pool if h.user_id != event.user_id]
        if not eligible:
            raise ArtifactError(
                "the reward model's pool holds no history of another user than "
                f"{event.user_id!r}; materialise 'reward_model' again on more users"
            )
        likes = [bool(like) for like in event.history_likes]
        name = digest([event.item_id, list(event.history_item_ids), likes, event.user_id])
        rng = random_generator(self._description.seed, "generic-gain", name)
        chosen = rng.choice(len(eligible), size=min(count, len(eligible)), replace=False)
        return [eligible[index] for index in chosen]


def _blank_reasons(reasons: Sequence[str]) -> NDArray[np.bool_]:
    return np.array([not reason.strip() for reason in reasons], dtype=bool)


def _same_length(events: Sequence[Any], reasons: Sequence[Any], outcomes: Sequence[Any]) -> None:
    if not len(events) == len(reasons) == len(outcomes):
        raise DataError(
            f"{len(events)} events, {len(reasons)} reasons and {len(outcomes)} outcomes were "
            "given; they must be as many, one of each per score"
        )
