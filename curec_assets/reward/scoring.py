"""`RewardScorer`: what a reason is worth, by the two readers of the stored reward model.

Used by reinforcement learning (its reward) and by the chronological correction (is a reason
contradicted by the outcome?). A score depends on the event and the reason only, never on what else
is in the batch. A reason is anything with a `verdict` and a `why` sentence: `texts.Text`,
`ParsedReason`, `WrittenReason`; one that says nothing (`texts.SILENCE`) gains exactly 0.

| | recommender-shaped reader (item, history, reason) | plain reader (reason alone) |
|---|---|---|
| P(like) | `probability(events, reasons)` | `reader_probability(reasons)` |
| its null | `probability(events)` | the base rate |
| gain, nats | `gain(events, reasons, outcomes)` | `reader_gain(reasons, outcomes)` |
| not about this user | `user_independent_gain(events, reasons, outcomes)` | \
`reader_user_independent_gain(events, reasons)` |
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from curec_assets.core.provenance import digest
from curec_assets.core.seeds import random_generator
from curec_assets.networks.vocabulary import Vocabulary
from curec_assets.reward.dataset import PooledHistory, pad_histories
from curec_assets.reward.model import RewardNetwork
from curec_assets.reward.reader import PlainReader
from curec_assets.reward.storage import Description, read_model
from curec_assets.reward.texts import Encoder, Sentences, blank, embed
from resources.errors import ArtifactError, DataError
from resources.storage.model_store import Artifact

Scores = NDArray[np.float64]

_BATCH = 1024


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
        reader: PlainReader,
        description: Description,
        text_encoder: Encoder,
        *,
        encoder_batch_size: int = 64,
        device: str = "cpu",
    ) -> None:
        """Use `load` for a stored model."""
        self._network = network.to(device).double().eval()
        self._reader = reader
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
        network, reader, description = read_model(artifact.path)
        return cls(
            network,
            reader,
            description,
            text_encoder,
            encoder_batch_size=encoder_batch_size,
            device=device,
        )

    def gain(
        self,
        events: Sequence[ScoredEvent],
        reasons: Sequence[Sentences],
        outcomes: Sequence[float],
    ) -> Scores:
        """(n,) log p(outcome | user, item, reason) - log p(outcome | user, item, null), in nats.

        Positive where the reason helps to tell the outcome, negative where it misleads.
        `outcomes`: True or False; or the probability of a like, for the mean over both.
        """
        _same_length(events, reasons, outcomes)
        return self._gain(events, self._embed(reasons), blank(reasons), outcomes)

    def user_independent_gain(
        self,
        events: Sequence[ScoredEvent],
        reasons: Sequence[Sentences],
        outcomes: Sequence[float],
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
        embedded = self._embed(reasons)[owner]
        silent = blank(reasons)[owner]
        gains = self._gain(lent, embedded, silent, [outcomes[index] for index in owner])
        totals = np.bincount(owner, weights=gains, minlength=len(events))
        means: Scores = totals / np.bincount(owner, minlength=len(events)).clip(min=1)
        return means

    def probability(
        self, events: Sequence[ScoredEvent], reasons: Sequence[Sentences] | None = None
    ) -> Scores:
        """p(liked) with the reasons, or with the null for all when None: (n,)."""
        if reasons is None:
            logits, _ = self._logits(events, None, None)
        else:
            _same_length(events, reasons, reasons)
            logits, _ = self._logits(events, self._embed(reasons), ~blank(reasons))
        return _sigmoid(logits)

    def reader_gain(self, reasons: Sequence[Sentences], outcomes: Sequence[float]) -> Scores:
        """(n,) log p(outcome | reason) - log p(outcome) by the plain reader, in nats."""
        _same_length(reasons, reasons, outcomes)
        return _gains(self._reader_logits(reasons), self._reader.null, outcomes)

    def reader_user_independent_gain(
        self, events: Sequence[ScoredEvent], reasons: Sequence[Sentences]
    ) -> Scores:
        """(n,) the plain reader's gain if the reason were said of other users' events, in nats.

        The mean over outcomes as they fall for everybody's events with this item (reward fold,
        shrunk to the base rate): what the reason owes to the item alone. A reason that only tells
        what the item's record tells has all of its gain here.
        """
        _same_length(events, reasons, reasons)
        logits, null = self._reader_logits(reasons), self._reader.null
        return _gains(logits, null, self._reader.rates([event.item_id for event in events]))

    def reader_probability(self, reasons: Sequence[Sentences]) -> Scores:
        """(n,) p(liked | reason) by the plain reader; the base rate where nothing is said."""
        return _sigmoid(self._reader_logits(reasons))

    def _reader_logits(self, reasons: Sequence[Sentences]) -> Scores:
        return np.where(
            blank(reasons), self._reader.null, self._reader.logits(self._embed(reasons))
        )

    def _gain(
        self,
        events: Sequence[ScoredEvent],
        embedded: NDArray[Any],
        silent: NDArray[np.bool_],
        outcomes: Sequence[float],
    ) -> Scores:
        logits, null = self._logits(events, embedded, ~silent)
        return np.where(silent, 0.0, _gains(logits, null, outcomes))

    def _logits(
        self,
        events: Sequence[ScoredEvent],
        embedded: NDArray[Any] | None,
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
                if embedded is not None and present is not None:
                    text = self._tensor(embedded[rows]).double()
                    logits = self._network.head(context, text, self._tensor(present[rows]))
                parts.append((logits.cpu().numpy(), null.cpu().numpy()))
        return np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])

    def _tensor(self, values: NDArray[Any]) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(values)).to(self._device)

    def _embed(self, reasons: Sequence[Sentences]) -> NDArray[np.float32]:
        wanted = self._description.shape.text_dim
        if not reasons:
            return np.empty((0, wanted), dtype=np.float32)
        embedded = embed(
            self._encoder,
            reasons,
            source=self._description.encoder_source,
            batch_size=self._encoder_batch_size,
        )
        if embedded.shape[1] != wanted:
            raise ArtifactError(
                f"text encoder {self._description.encoder_source!r} gave twice "
                f"{embedded.shape[1] // 2} dimensions, but the reward model was fitted on twice "
                f"{wanted // 2}; materialise the asset 'reward_model' again"
            )
        return embedded

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


def _gains(logits: Scores, null: Scores | float, outcomes: Sequence[float] | Scores) -> Scores:
    """Log p(outcome) by `logits` less that by `null`; the mean where outcomes are probabilities."""
    likes = np.asarray(outcomes, dtype=np.float64)
    # log sigmoid(x) = -log(1 + exp(-x)), which does not overflow
    if_liked = np.logaddexp(0.0, -null) - np.logaddexp(0.0, -logits)
    if_not = np.logaddexp(0.0, null) - np.logaddexp(0.0, logits)
    gains: Scores = likes * if_liked + (1.0 - likes) * if_not
    return gains


def _sigmoid(logits: Scores) -> Scores:
    return np.exp(-np.logaddexp(0.0, -logits))


def _same_length(events: Sequence[Any], reasons: Sequence[Any], outcomes: Sequence[Any]) -> None:
    if not len(events) == len(reasons) == len(outcomes):
        raise DataError(
            f"{len(events)} events, {len(reasons)} reasons and {len(outcomes)} outcomes were "
            "given; they must be as many, one of each per score"
        )
