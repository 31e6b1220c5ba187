"""The assets of this stage: what each reads, depends on and writes, and how it is made."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from curec_assets.core.inputs import Inputs
from curec_assets.core.recipe import Change, Choice, only_changed, table
from curec_assets.datasets import describe, schema
from curec_assets.datasets.interactions import Outcome, build_interactions, require_mostly_known
from curec_assets.datasets.items import build_items, odd_items
from curec_assets.datasets.ledger import (
    Known,
    Read,
    Revisions,
    by_batch,
    current_events,
    revisions,
)
from curec_assets.datasets.sources.source import DataSource, open_source
from resources.storage.manifest import Manifest
from resources.storage.tombstones import without_forgotten

_GROUP = "datasets"
_KINDS = {"duckdb", "polars"}
_EXAMPLES = 5
_REVISION = ("sequence", "event_id", "revision", "operation", *schema.EVENT)
"""What of a revision its event is made from; the whole ledger is wider."""


def _source(inputs: Inputs) -> DataSource:
    """The source that the settings name; nothing of it has been read yet."""
    profile = inputs.settings
    return open_source(profile.data, inputs.resource("downloads"), profile.seed)


_INTERACTIONS = Choice(
    _source,
    settings=("data", "seed"),
    versions=lambda source: source.interactions_fingerprint(),
    sources=lambda source: source.files(),
)


def _files_to_read(inputs: Inputs, wanted: Manifest) -> list[str]:
    """Files whose content, or the way they are read, is not that of the stored table."""
    before = inputs.before
    now = wanted.sources
    if before is None or not only_changed(before, wanted, "files"):
        return list(now)
    return [name for name in now if before.sources.get(name) != now[name]]


def _revisions(
    inputs: Inputs, files: Sequence[str], known: Known, before: Mapping[str, Any]
) -> Revisions:
    source: DataSource = inputs.view
    return revisions(
        (
            Read(
                name,
                without_forgotten(inputs.warehouse, source.interactions(name)),
                supersedes=bool(before),
                whole=source.whole,
                vouched_for=source.vouched_for(name),
            )
            for name in files
        ),
        known,
        before=before,
        arrived_at=int(time.time()),
        most_lost_share=inputs.settings.data.most_lost_share,
    )


def _events_since(inputs: Inputs, wanted: Manifest) -> Change | None:
    before = inputs.before
    if before is None or before.config != wanted.config:  # the ledger of another source
        return None
    found = _revisions(
        inputs,
        _files_to_read(inputs, wanted),
        lambda keys: inputs.matching("events", keys),
        before.metrics,
    )
    nothing = pl.DataFrame(schema={"sequence": pl.Int64()})
    return Change(found.rows, nothing, found.metrics)


@table(
    group=_GROUP,
    kinds=_KINDS,
    key=["sequence"],
    schema=schema.EVENTS,
    settings=("data.source",),
    resources=("downloads",),
    view=_INTERACTIONS,
    update=_events_since,
    order=("sequence",),
    unversioned=("arrived_at",),
    describe=describe.events,
)
def events(inputs: Inputs) -> tuple[pl.DataFrame, Mapping[str, Any]]:
    """The ledger: every event as its files said it, with corrections and deletions as revisions.

    Only files with new content are read; what they change is added.
    """
    found = _revisions(
        inputs,
        list(inputs.view.files()),
        lambda _: pl.DataFrame(schema=schema.EVENTS),
        before={},
    )
    return found.rows, found.metrics


def _batches_since(inputs: Inputs, _: Manifest) -> Change | None:
    before, ledger = inputs.before, inputs.manifest("events")
    if before is None or before.metrics["generation"] != ledger.generation:
        return None
    rows = by_batch(inputs.above("events", "sequence", before.metrics["sequence"]))
    nothing = pl.DataFrame(schema={"batch": pl.Int64()})
    return Change(rows, nothing, _reached(ledger))


@table(
    group=_GROUP,
    kinds=_KINDS,
    key=["batch"],
    schema=schema.BATCHES,
    tables=("events",),
    update=_batches_since,
    order=("batch",),
    unversioned=("arrived_at",),
    describe=describe.batches,
)
def batches(inputs: Inputs) -> tuple[pl.DataFrame, Mapping[str, Any]]:
    """One row per file and time at which it brought something new: what it added, corrected, and
    deleted.
    """
    return by_batch(inputs.table("events")), _reached(inputs.manifest("events"))


def _reached(ledger: Manifest) -> dict[str, Any]:
    """How far a table has followed the ledger."""
    return {"generation": ledger.generation, "sequence": ledger.metrics["sequence"]}


def _quarantine_since(inputs: Inputs, wanted: Manifest) -> Change | None:
    before = inputs.before
    if before is None or before.config != wanted.config:
        return None
    files = _files_to_read(inputs, wanted)
    again = {*files, *(before.sources.keys() - wanted.sources.keys())}
    old = inputs.matching("quarantine", pl.DataFrame({"file": sorted(again)}, {"file": pl.Utf8()}))
    return Change(_quarantined(inputs.view, files), old.select("file", "row", "column"), {})


def _quarantined(source: DataSource, files: Sequence[str]) -> pl.DataFrame:
    nothing = pl.DataFrame(schema=schema.QUARANTINE)
    return pl.concat([nothing, *(source.quarantine(name) for name in files)])


@table(
    group=_GROUP,
    kinds=_KINDS,
    key=["file", "row", "column"],
    schema=schema.QUARANTINE,
    settings=("data.source",),
    resources=("downloads",),
    view=_INTERACTIONS,
    update=_quarantine_since,
    order=("file", "row", "column"),
    describe=describe.quarantine,
)
def quarantine(inputs: Inputs) -> tuple[pl.DataFrame, Mapping[str, Any]]:
    """Cells for which rows of the interactions were left out, with place, value, reason and fix.

    Correct them in the file: a changed file is read again.
    """
    return _quarantined(inputs.view, list(inputs.view.files())), {}


@table(
    group=_GROUP,
    kinds=_KINDS,
    key=["item_id"],
    schema=schema.RAW_ITEMS,
    settings=("data.source",),
    resources=("downloads",),
    view=Choice(
        _source,
        settings=("data", "seed"),
        versions=lambda source: source.items_fingerprint(),
    ),
    describe=lambda rows, inputs: describe.raw_items(rows, inputs.settings.data.source),
)
def raw_items(inputs: Inputs) -> pl.DataFrame:
    """Every item of the catalogue with its attributes; for MovieLens joined with Wikidata."""
    rows: pl.DataFrame = inputs.view.items()
    return rows


@table(
    group=_GROUP,
    kinds=_KINDS,
    key=["item_id"],
    schema=schema.ITEMS,
    tables=("raw_items",),
    settings=("data.item_text",),
    describe=lambda rows, inputs: {**describe.items(rows), **inputs.metrics},
)
def items(inputs: Inputs) -> tuple[pl.DataFrame, Mapping[str, Any]]:
    """One row per item: unique title, clean attributes, and the text that is embedded.

    Without what a tokenizer would take for a control token, what nobody sees, and attributes that
    are no names.
    """
    raw = inputs.table("raw_items")
    odd = odd_items(raw)
    if odd:
        inputs.warn(
            f"{len(odd)} items had control tokens, unseen characters, or attributes that are no "
            "names (more than six words, an address), which were taken out: "
            f"{', '.join(odd[:5])}{', ...' if len(odd) > 5 else ''}"
        )
    return build_items(raw, inputs.settings.data.item_text), {"items_with_odd_text": len(odd)}


def _interactions_since(inputs: Inputs, wanted: Manifest) -> Change | None:
    before, ledger = inputs.before, inputs.manifest("events")
    if (
        before is None
        or not only_changed(before, wanted, "events")
        or before.metrics["generation"] != ledger.generation
    ):
        return None
    new = inputs.above("events", "sequence", before.metrics["sequence"])
    found = _labelled(inputs, current_events(new))
    rows = _with_drawn(inputs, found.events)
    gone = _with_drawn_ids(inputs, new["event_id"].unique()).join(rows, on="event_id", how="anti")
    return Change(rows, gone, _left_out(found, ledger, before.metrics))


def _labelled(inputs: Inputs, current: pl.DataFrame) -> Outcome:
    return build_interactions(
        current,
        inputs.table("items", ["item_id"])["item_id"],
        liked_threshold=inputs.settings.data.liked_from,
    )


def _with_drawn(inputs: Inputs, events: pl.DataFrame) -> pl.DataFrame:
    """Events and what is drawn beside them, where feedback is implicit."""
    data = inputs.settings.data
    if data.feedback == "explicit":
        return events
    from curec_assets.datasets.drawn import LEDGER_READ, with_drawn

    ledger, item_ids = inputs.table("events", LEDGER_READ), inputs.table("items", ["item_id"])
    return with_drawn(events, ledger, item_ids["item_id"], data.drawn_per_event)


def _with_drawn_ids(inputs: Inputs, event_ids: pl.Series) -> pl.DataFrame:
    """Ids of events, and of what may have been drawn beside them."""
    data = inputs.settings.data
    keys = event_ids.rename("event_id").to_frame()
    if data.feedback == "explicit":
        return keys
    from curec_assets.datasets.drawn import drawn_ids

    return pl.concat([keys, drawn_ids(event_ids, data.drawn_per_event).select("event_id")])


def _left_out(found: Outcome, ledger: Manifest, before: Mapping[str, Any]) -> dict[str, Any]:
    unknown = sorted({*before.get("unknown_items", ()), *found.unknown_items})
    return {
        **_reached(ledger),
        "current": ledger.metrics["current"],
        "unknown_items": unknown[:_EXAMPLES],
    }


@table(
    group=_GROUP,
    kinds=_KINDS,
    key=["event_id"],
    schema=schema.INTERACTIONS,
    tables=("events", "items"),
    settings=("data.liked_threshold", "data.feedback", "data.drawn_per_event"),
    update=_interactions_since,
    order=("timestamp", "event_id"),
    describe=describe.interactions,
)
def interactions(inputs: Inputs) -> tuple[pl.DataFrame, Mapping[str, Any]]:
    """Events of known items as they are now, with id and label; others are left out.

    Where feedback is implicit, each is liked, and beside it stand events that nobody did: drawn,
    without a rating, not liked.
    """
    found = _labelled(inputs, current_events(inputs.table("events", _REVISION)))
    require_mostly_known(found, inputs.table("items", ["item_id"])["item_id"])
    if found.unknown:
        inputs.warn(
            f"{found.unknown} interactions name items that the catalogue lacks "
            f"({', '.join(found.unknown_items)}, ...) and are left out"
        )
    left_out = _left_out(found, inputs.manifest("events"), {})
    return _with_drawn(inputs, found.events), left_out


@table(
    group=_GROUP,
    kinds=_KINDS,
    key=["event_id"],
    schema=schema.INTERACTIONS,
    tables=("interactions",),
    describe=lambda rows, _: describe.training_snapshot(rows),
)
def training_snapshot(inputs: Inputs) -> pl.DataFrame:
    """The events that language models are trained on. Only the slow lane renews it."""
    return inputs.table("interactions")


@table(
    group=_GROUP,
    kinds=_KINDS,
    key=["event_id"],
    schema=schema.EVENT_SPLITS,
    tables=("training_snapshot",),
    settings=("split", "seed"),
    describe=lambda rows, _: describe.splits(rows, by=("split", "fold")),
)
def event_splits(inputs: Inputs) -> pl.DataFrame:
    """Train, validation and test by time; reward and policy folds by user within train."""
    from curec_assets.datasets.splits import assign_splits, require_both_folds

    profile = inputs.settings
    columns = [name for name in schema.EVENT_SPLITS if name not in ("split", "fold")]
    snapshot = inputs.table("training_snapshot", columns)
    events = assign_splits(snapshot, profile.split, profile.seed)
    require_both_folds(events)
    return events


@table(
    group=_GROUP,
    kinds=_KINDS,
    key=["event_id"],
    schema=schema.SERVING_SNAPSHOT,
    tables=("interactions",),
    settings=("split.train_fraction", "split.validation_fraction"),
    describe=lambda rows, _: describe.splits(rows),
)
def serving_snapshot(inputs: Inputs) -> pl.DataFrame:
    """The events that the recommender is fitted on and judged by: all up to now, split in time.

    `refit` renews it without touching a language model; `retrain` does too.
    """
    from curec_assets.datasets.splits import split_in_time

    return split_in_time(inputs.table("interactions"), inputs.settings.split)


RECIPES = (
    events,
    batches,
    quarantine,
    raw_items,
    items,
    interactions,
    training_snapshot,
    event_splits,
    serving_snapshot,
)
