"""The assets of this stage: what each reads, depends on and writes, and how it is made."""

from collections.abc import Mapping
from typing import Any

import polars as pl

from curec_assets.core.inputs import Inputs
from curec_assets.core.recipe import Choice, table
from curec_assets.datasets import describe, schema
from curec_assets.datasets.interactions import build_interactions
from curec_assets.datasets.items import build_items, odd_items
from curec_assets.datasets.sources.source import DataSource, open_source
from resources.errors import DataError
from resources.storage.manifest import Manifest

_GROUP = "datasets"
_KINDS = {"duckdb", "polars"}


def _source(inputs: Inputs) -> DataSource:
    """The source that the settings name; nothing of it has been read yet."""
    profile = inputs.settings
    return open_source(profile.data, inputs.resource("downloads"), profile.seed)


def _holds_what_is_known(
    before: Manifest, known: pl.DataFrame, inputs: Inputs, rows: pl.DataFrame
) -> None:
    """Refuse a file that lacks too much of what was read before: it may be half copied."""
    data = inputs.settings.data
    if before.config["data.source"] != data.source or known.is_empty():
        return
    lost = known.join(rows, on=["user_id", "item_id", "timestamp"], how="anti").height
    if lost > data.most_lost_share * known.height:
        raise DataError(
            f"the interactions now read ({rows.height} rows) lack {lost} of the {known.height} "
            f"known ones, more than data.most_lost_share = {data.most_lost_share} allows; what was "
            "stored stays. Copy the file again in full; if it is meant, set data.most_lost_share "
            "to 1 for this one run"
        )


@table(
    group=_GROUP,
    kinds=_KINDS,
    key=["row"],
    schema=schema.RAW_INTERACTIONS,
    settings=("data.source",),
    resources=("downloads",),
    view=Choice(
        _source,
        settings=("data", "seed"),
        versions=lambda source: source.interactions_fingerprint(),
    ),
    replaces=_holds_what_is_known,
    describe=lambda rows, _: describe.raw_interactions(rows),
)
def raw_interactions(inputs: Inputs) -> pl.DataFrame:
    """Every row of the interactions source: user, item, rating, Unix seconds; ids are strings."""
    rows: pl.DataFrame = inputs.view.interactions()
    return rows


@table(
    group=_GROUP,
    kinds=_KINDS,
    key=["row", "column"],
    schema=schema.QUARANTINE,
    settings=("data.source",),
    resources=("downloads",),
    view=Choice(
        _source,
        settings=("data", "seed"),
        versions=lambda source: source.interactions_fingerprint(),
    ),
    describe=lambda rows, _: describe.quarantine(rows),
)
def quarantine(inputs: Inputs) -> pl.DataFrame:
    """Cells for which rows of the interactions were left out, with place, value, reason and fix.

    Correct them in the file: a changed file is read again as a whole.
    """
    rows: pl.DataFrame = inputs.view.quarantine()
    return rows


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
    describe=lambda rows, inputs: {**describe.items(rows), **inputs.metrics},
)
def items(inputs: Inputs) -> tuple[pl.DataFrame, Mapping[str, Any]]:
    """One row per item: unique title, clean attributes, and the text that is embedded.

    Without what a tokenizer would take for a control token, and what nobody sees.
    """
    raw = inputs.table("raw_items")
    odd = odd_items(raw)
    if odd:
        inputs.warn(
            f"{len(odd)} items had control tokens or unseen characters in their texts, which were "
            f"taken out: {', '.join(odd[:5])}{', ...' if len(odd) > 5 else ''}"
        )
    return build_items(raw), {"items_with_odd_text": len(odd)}


@table(
    group=_GROUP,
    kinds=_KINDS,
    key=["event_id"],
    schema=schema.INTERACTIONS,
    tables=("raw_interactions", "items"),
    settings=("data.liked_threshold",),
    describe=lambda rows, inputs: describe.interactions(rows, inputs.metrics),
)
def interactions(inputs: Inputs) -> tuple[pl.DataFrame, Mapping[str, Any]]:
    """Events of known items with id and label; repeated rows and unknown items are left out."""
    outcome = build_interactions(
        inputs.table("raw_interactions"),
        inputs.table("items", ["item_id"])["item_id"],
        liked_threshold=inputs.settings.data.liked_threshold,
    )
    if outcome.unknown:
        inputs.warn(
            f"{outcome.unknown} interactions name items that the catalogue lacks "
            f"({', '.join(outcome.unknown_items)}, ...) and are left out"
        )
    return outcome.events, outcome.left_out()


@table(
    group=_GROUP,
    kinds=_KINDS,
    key=["event_id"],
    schema=schema.INTERACTIONS,
    tables=("interactions",),
    describe=lambda rows, _: describe.training_snapshot(rows),
)
def training_snapshot(inputs: Inputs) -> pl.DataFrame:
    """The events that models are trained on: all up to now. Only the slow lane renews it."""
    return inputs.table("interactions")


@table(
    group=_GROUP,
    kinds=_KINDS,
    key=["event_id"],
    schema=schema.EVENT_SPLITS,
    tables=("training_snapshot",),
    settings=("split", "seed"),
    describe=lambda rows, _: describe.event_splits(rows),
)
def event_splits(inputs: Inputs) -> pl.DataFrame:
    """Train, validation and test by time; reward and policy folds by user within train."""
    from curec_assets.datasets.splits import assign_splits, require_both_folds

    profile = inputs.settings
    events = assign_splits(inputs.table("training_snapshot"), profile.split, profile.seed)
    require_both_folds(events)
    return events


@table(
    group=_GROUP,
    kinds=_KINDS,
    key=["event_id"],
    schema=schema.HISTORIES,
    tables=("interactions",),
    settings=("data.max_history",),
    describe=lambda rows, _: describe.histories(rows),
)
def histories(inputs: Inputs) -> pl.DataFrame:
    """For every event, what its user did strictly before it: the latest items, oldest first."""
    from curec_assets.datasets.histories import build_histories

    return build_histories(inputs.table("interactions"), inputs.settings.data.max_history)


RECIPES = (
    raw_interactions,
    quarantine,
    raw_items,
    items,
    interactions,
    training_snapshot,
    event_splits,
    histories,
)
