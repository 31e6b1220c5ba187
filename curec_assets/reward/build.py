"""From tables to a stored reward model: encode, fit both readers, judge, save."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from curec_assets.networks.vocabulary import Vocabulary
from curec_assets.reward.dataset import (
    NO_REASON,
    Events,
    Floats,
    encode_events,
    held_out_users,
    pooled_histories,
)
from curec_assets.reward.gate import Gate
from curec_assets.reward.model import RewardNetwork
from curec_assets.reward.reader import PlainReader, fit_reader, item_rates
from curec_assets.reward.storage import Description, save_model
from curec_assets.reward.texts import SILENCE, Encoder, Text, blank, embed
from curec_assets.reward.training import fit, judge, predict
from curec_assets.settings import EncoderSettings, RewardSettings


def build_reward_model(
    folder: Path,
    frame: pl.DataFrame,
    reasons: pl.DataFrame,
    text_encoder: Encoder,
    *,
    settings: RewardSettings,
    encoder: EncoderSettings,
    seed: int,
    device: str = "cpu",
    log: Callable[[str], None] = lambda _: None,
) -> Mapping[str, Any]:
    """Fit on the reward fold, decide the gate on validation drafts, write into `folder`.

    frame: rows of `dataset.events_with_histories`. reasons: event_id, verdict, why; one that says
    nothing counts as none. Returns the manifest's metrics: `epochs` (losses), `chosen_epoch`,
    `gate` (`Gate.to_json`), `base_rate` and counts. Raises `DataError` when the reward fold has
    fewer than two users.
    """
    reason_rows, embeddings = _embedded(reasons, text_encoder, encoder)
    fold = frame.filter(pl.col("fold") == "reward")
    vocabulary = Vocabulary.of(fold["item_id"], least=settings.least_item_events)
    positions = max(1, fold.select(pl.col("item_ids").list.len().max()).item() or 0)
    kept_out = held_out_users(fold["user_id"], seed)
    is_kept_out = pl.col("user_id").is_in(sorted(kept_out))
    parts = {
        "all": fold,
        "train": fold.filter(~is_kept_out),
        "held_out": fold.filter(is_kept_out),
        "gate": frame.filter(pl.col("split") == "validation"),
    }
    events = {
        name: encode_events(rows, vocabulary, reason_rows, positions)
        for name, rows in parts.items()
    }
    fitted = fit(
        events["train"],
        events["held_out"],
        embeddings,
        n_items=len(vocabulary),
        settings=settings,
        seed=seed,
        device=device,
        log=log,
    )
    # The plain reader has no epoch to choose: it reads the users kept out as well.
    read = events["all"].take(events["all"].reason != NO_REASON)
    reader = fit_reader(
        embeddings[read.reason],
        read.liked > 0.5,
        ridge=settings.reader_ridge,
        why_ridge=settings.reader_why_ridge,
        item_rates=item_rates(fold),
    )
    gate = _gate(fitted.network, reader, events["gate"], embeddings, settings, seed)
    description = Description(
        shape=fitted.network.shape,
        positions=positions,
        encoder_source=encoder.source,
        seed=seed,
        item_ids=vocabulary.item_ids,
        pool=pooled_histories(frame, seed),
    )
    save_model(folder, fitted.network, reader, description)
    return {
        "epochs": [asdict(epoch) for epoch in fitted.epochs],
        "chosen_epoch": fitted.chosen,
        "gate": gate.to_json(),
        "base_rate": reader.base_rate,
        "train_events": len(events["train"]),
        "train_reasons": len(read),
        "held_out_events": len(events["held_out"]),
        "gate_events": len(events["gate"]),
    }


def _embedded(
    reasons: pl.DataFrame, text_encoder: Encoder, encoder: EncoderSettings
) -> tuple[dict[str, int], Floats]:
    """event_id → row, and the embeddings (rows, 2 d) of distinct reasons."""
    texts = [Text(verdict or "", why or "") for verdict, why in reasons["verdict", "why"].rows()]
    said = {
        event: text
        for event, text, silent in zip(reasons["event_id"], texts, blank(texts), strict=True)
        if not silent
    }
    # One text at least, if unused: it tells the encoder's dimension.
    distinct = sorted(set(said.values()), key=lambda text: (text.verdict, text.why)) or [SILENCE]
    row_of = {text: row for row, text in enumerate(distinct)}
    embeddings = embed(text_encoder, distinct, source=encoder.source, batch_size=encoder.batch_size)
    return {event: row_of[text] for event, text in said.items()}, embeddings


def _gate(
    network: RewardNetwork,
    reader: PlainReader,
    events: Events,
    embeddings: Floats,
    settings: RewardSettings,
    seed: int,
) -> Gate:
    def read(lent: Events) -> np.ndarray:
        logits = reader.logits(embeddings[lent.reason.clip(min=0)])
        return np.where(lent.reason == NO_REASON, reader.null, logits)

    return Gate(
        recommender=judge(
            events,
            lambda lent: predict(network, lent, embeddings),
            predict(network, events, None),
            settings=settings,
            seed=seed,
        ),
        reader=judge(events, read, np.full(len(events), reader.null), settings=settings, seed=seed),
    )
