"""Fitting the recommender-shaped reader, and the predictions that decide a reader's gate.

Loss per batch: the mean over events of BCE(y, liked), where an event without a reason uses the
learned null, and one with a reason uses the null with probability `reason_dropout`. A loss that
drew y(another user's reason) to y(null) was tried and taken out: the network cannot tell whose a
graded verdict is, so it learnt to read none (docs/method.md).

Events with a reason are few, so every batch gets some: they are shown up to `extra_draws` more
times per epoch, spread evenly, and never make more than `reasoned_share` of a batch. What few
events show often is learnt by heart, so most coordinates of a reason's embedding are zeroed at
random in fitting (`text_dropout`; docs/method.md says what that was chosen on).

The epoch is chosen on a tenth of the reward fold's *users*, kept out of fitting: the validation
events that decide the gate decide nothing else, and both paths of the model (null and reason) are
judged on users that it has not seen, as in reinforcement learning.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from curec_assets.core.seeds import derive, random_generator
from curec_assets.reward.dataset import NO_REASON, Events, Floats, other_users
from curec_assets.reward.gate import ReaderGate, decide
from curec_assets.reward.model import RewardNetwork, Shape, initialised
from curec_assets.settings import RewardSettings

_INFERENCE_BATCH = 4096


@dataclass(frozen=True)
class Epoch:
    """Losses of one epoch; cross-entropies in nats per event."""

    train: float
    """On what was fitted on, reason dropout included."""
    held_out: float
    """What the epoch is chosen by, on the users kept out."""


@dataclass(frozen=True)
class Fitted:
    """A fitted network, on the CPU, and how it went."""

    network: RewardNetwork
    epochs: list[Epoch]
    chosen: int
    """Number (from 1) of the epoch whose weights were kept."""


def fit(
    train: Events,
    held_out: Events,
    embeddings: Floats,
    *,
    n_items: int,
    settings: RewardSettings,
    seed: int,
    device: str = "cpu",
    log: Callable[[str], None] = lambda _: None,
) -> Fitted:
    """Fit on `train`, keep the epoch with the least loss on `held_out`.

    embeddings: (reasons, text_dim), the rows that `Events.reason` names. `n_items`: rows of the
    item table. Same arguments, same weights, on the same machine.
    """
    rng = random_generator(seed, "reward-batches")
    torch_seed = torch.Generator().manual_seed(derive(seed, "reward-weights"))
    shape = Shape(items=n_items, dim=settings.dim, text_dim=embeddings.shape[1])
    network = initialised(shape, torch_seed).to(device)
    optimiser = torch.optim.AdamW(
        network.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
    )
    texts = torch.from_numpy(np.ascontiguousarray(embeddings, dtype=np.float32)).to(device)
    epochs: list[Epoch] = []
    best = {name: value.clone() for name, value in network.state_dict().items()}
    chosen = 0
    for number in range(1, settings.epochs + 1):
        loss = _one_epoch(network, optimiser, train, texts, settings, rng)
        epochs.append(Epoch(loss, _held_out_loss(network, held_out, embeddings, settings)))
        log(f"reward model, epoch {number}: {epochs[-1]}")
        if chosen == 0 or epochs[-1].held_out < epochs[chosen - 1].held_out:
            chosen = number
            best = {name: value.clone() for name, value in network.state_dict().items()}
    network.load_state_dict(best)
    return Fitted(network.cpu().eval(), epochs, chosen)


def predict(
    network: RewardNetwork, events: Events, embeddings: Floats | None, device: str = "cpu"
) -> NDArray[np.float64]:
    """Logits (n,) with each event's reason (`embeddings`), or with the null for all (None)."""
    texts = None if embeddings is None else torch.from_numpy(embeddings).to(device)
    parts = []
    with torch.inference_mode():
        for start in range(0, len(events), _INFERENCE_BATCH):
            batch = events.take(np.arange(start, min(start + _INFERENCE_BATCH, len(events))))
            context = _context(network, batch, device)
            parts.append(network.head(context, *_reasons(batch.reason, texts)).cpu())
    joined = torch.cat(parts) if parts else torch.empty(0)
    return joined.double().numpy()


def judge(
    events: Events,
    with_reason: Callable[[Events], NDArray[np.float64]],
    with_null: NDArray[np.float64],
    *,
    settings: RewardSettings,
    seed: int,
) -> ReaderGate:
    """The gate of a reader on `events`: validation events, each with a drafted reason.

    `with_reason` gives a reader's logits (n,) of events; `with_null` are those without reasons.
    """
    shuffled = []
    for turn in range(settings.gate_shuffles):
        partner = other_users(events.users, random_generator(seed, "reward-gate-shuffle", turn))
        if len(partner):
            # Only the reason changes hands: item, history and label stay.
            lent = Events(**{**vars(events), "reason": events.reason[partner]})
            shuffled.append(with_reason(lent))
    return decide(
        liked=events.liked > 0.5,
        users=events.users,
        with_reason=with_reason(events),
        with_null=with_null,
        with_shuffled=np.array(shuffled),
        rng=random_generator(seed, "reward-gate-bootstrap"),
        samples=settings.gate_samples,
        least_users=settings.gate_least_users,
    )


def _one_epoch(
    network: RewardNetwork,
    optimiser: torch.optim.Optimizer,
    train: Events,
    texts: Tensor,
    settings: RewardSettings,
    rng: np.random.Generator,
) -> float:
    """Mean loss per event shown."""
    device = str(texts.device)
    dropout = _Dropout(settings.text_dropout, rng)
    total, shown = 0.0, 0
    for index in batches(train.reason != NO_REASON, settings, rng):
        batch = train.take(index)
        dropped = rng.random(len(batch)) < settings.reason_dropout
        reason = np.where(dropped, NO_REASON, batch.reason)
        logits = network.head(_context(network, batch, device), *_reasons(reason, texts, dropout))
        loss = functional.binary_cross_entropy_with_logits(
            logits, torch.from_numpy(batch.liked).to(device)
        )
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        total += float(loss.detach()) * len(batch)
        shown += len(batch)
    return total / max(shown, 1)


def batches(
    reasoned: NDArray[np.bool_], settings: RewardSettings, rng: np.random.Generator
) -> list[NDArray[np.int64]]:
    """Shuffled batches of all events, each with extra ones of those that have a reason."""
    order = rng.permutation(len(reasoned))
    parts = np.array_split(order, max(1, -(-len(order) // settings.batch_size)))
    pool = np.flatnonzero(reasoned)
    most = int(settings.reasoned_share * settings.batch_size)
    extra_count = min(settings.extra_draws * len(pool), most * len(parts))
    turns = -(-extra_count // max(len(pool), 1))
    repeated = np.concatenate([pool[:0], *(rng.permutation(pool) for _ in range(turns))])
    extras = np.array_split(repeated[:extra_count], len(parts))
    return [np.concatenate([batch, extra]) for batch, extra in zip(parts, extras, strict=True)]


def _held_out_loss(
    network: RewardNetwork, events: Events, embeddings: Floats, settings: RewardSettings
) -> float:
    """Null loss of all events, and that of those with a reason for their share of a batch."""
    device = str(next(network.parameters()).device)
    null = _cross_entropy(predict(network, events, None, device), events.liked)
    reasoned = events.take(events.reason != NO_REASON)
    if not len(reasoned):
        return null
    reason = _cross_entropy(predict(network, reasoned, embeddings, device), reasoned.liked)
    share = min(settings.reasoned_share, settings.extra_draws * len(reasoned) / len(events))
    return (1.0 - share) * null + share * reason


def _cross_entropy(logits: NDArray[np.float64], liked: Floats) -> float:
    """Mean of -log p(liked), in nats."""
    sign = np.where(liked > 0.5, 1.0, -1.0)
    return float(np.logaddexp(0.0, -sign * logits).mean())


def _context(network: RewardNetwork, batch: Events, device: str) -> Tensor:
    used = max(1, int((batch.signals > 0).sum(axis=1).max(initial=0)))  # skip all-padding columns
    return network.context(
        torch.from_numpy(batch.items).to(device),
        torch.from_numpy(batch.history[:, :used]).to(device),
        torch.from_numpy(batch.signals[:, :used]).to(device),
    )


@dataclass(frozen=True)
class _Dropout:
    """Of the coordinates of texts."""

    share: float
    rng: np.random.Generator


def _reasons(
    reason: NDArray[np.int64], texts: Tensor | None, dropout: "_Dropout | None" = None
) -> tuple[Tensor | None, Tensor | None]:
    """Embeddings (batch, text_dim) and which are present; None, None when all use the null.

    With `dropout`, coordinates are dropped as in fitting, and the others scaled to make up for it.
    """
    present = reason != NO_REASON
    if texts is None or not present.any():
        return None, None
    chosen = texts[torch.from_numpy(np.where(present, reason, 0)).to(texts.device)]
    if dropout is not None:
        kept = np.zeros(chosen.shape, dtype=np.float32)
        kept[present] = dropout.rng.random((present.sum(), chosen.shape[1])) >= dropout.share
        chosen = chosen * torch.from_numpy(kept / (1.0 - dropout.share)).to(texts.device)
    return chosen, torch.from_numpy(present).to(texts.device)
