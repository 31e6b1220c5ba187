"""From tables to a stored reward model: encode, fit, judge, save."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from curec_assets.networks.vocabulary import Vocabulary
from curec_assets.reward.dataset import (
    NO_REASON,
    encode_events,
    held_out_users,
    pooled_histories,
)
from curec_assets.reward.scoring import Encoder
from curec_assets.reward.storage import Description, save_model
from curec_assets.reward.training import fit, judge
from curec_assets.settings import EncoderSettings, RewardSettings


def build_reward_model(
    folder: Path,
    frame: pl.DataFrame,
    drafts: pl.DataFrame,
    text_encoder: Encoder,
    *,
    settings: RewardSettings,
    encoder: EncoderSettings,
    seed: int,
    device: str = "cpu",
    log: Callable[[str], None] = lambda _: None,
) -> Mapping[str, Any]:
    """Fit on the reward fold, decide the gate on validation drafts, write into `folder`.

    frame: rows of `dataset.events_with_histories`. drafts: event_id, reason; an empty reason counts
    as none. Returns the manifest's metrics: `epochs` (losses), `chosen_epoch`, `gate`
    (`Gate.to_json`) and counts. Raises `DataError` when the reward fold has fewer than two users.
    """
    written = {
        event: text for event, text in drafts.select("event_id", "reason").rows() if text.strip()
    }
    # One text at least, if unused: it tells the encoder's dimension.
    texts = sorted(set(written.values())) or ["-"]
    row_of = {text: row for row, text in enumerate(texts)}
    reason_rows = {event: row_of[text] for event, text in written.items()}
    embeddings = np.asarray(
        text_encoder.encode(texts, source=encoder.source, batch_size=encoder.batch_size),
        dtype=np.float32,
    )
    fold = frame.filter(pl.col("fold") == "reward")
    vocabulary = Vocabulary.of(fold["item_id"], least=settings.least_item_events)
    positions = max(1, fold.select(pl.col("item_ids").list.len().max()).item() or 0)
    kept_out = held_out_users(fold["user_id"], seed)
    is_kept_out = pl.col("user_id").is_in(sorted(kept_out))
    parts = {
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
    gate = judge(fitted.network, events["gate"], embeddings, settings=settings, seed=seed)
    description = Description(
        shape=fitted.network.shape,
        positions=positions,
        encoder_source=encoder.source,
        seed=seed,
        item_ids=vocabulary.item_ids,
        pool=pooled_histories(frame, seed),
    )
    save_model(folder, fitted.network, description)
    return {
        "epochs": [asdict(epoch) for epoch in fitted.epochs],
        "chosen_epoch": fitted.chosen,
        "gate": gate.to_json(),
        "train_events": len(events["train"]),
        "train_drafts": int((events["train"].reason != NO_REASON).sum()),
        "held_out_events": len(events["held_out"]),
        "gate_events": len(events["gate"]),
    }
