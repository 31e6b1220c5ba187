"""The assets of this stage: read, call, record."""

from collections.abc import Callable

import dagster as dg
import polars as pl

from curec_assets.core import materialize
from curec_assets.core.metadata import as_metadata
from curec_assets.datasets import describe
from curec_assets.datasets.interactions import build_interactions
from curec_assets.datasets.items import build_items
from curec_assets.datasets.sources.source import open_source
from curec_assets.settings import Settings
from resources.models.downloads import Downloads
from resources.storage.warehouse import Warehouse

_GROUP = "datasets"
_OWNERS = ["team:curec"]
_KINDS = {"duckdb", "polars"}
_POOL = "warehouse"


@dg.asset(group_name=_GROUP, kinds=_KINDS, owners=_OWNERS, pool=_POOL, code_version="1")
def raw_interactions(
    context: dg.AssetExecutionContext,
    settings: Settings,
    warehouse: Warehouse,
    downloads: Downloads,
) -> dg.MaterializeResult[None]:
    """Every row of the interactions source: user, item, rating, Unix seconds; ids are strings."""
    profile = settings.resolve()
    source = open_source(profile.data, downloads, profile.seed)
    return materialize.table(
        context,
        warehouse,
        key=["row"],
        config={"source": profile.data.source},
        inputs=source.interactions_fingerprint(),
        build=source.interactions,
        describe=_shown(describe.raw_interactions),
    )


@dg.asset(group_name=_GROUP, kinds=_KINDS, owners=_OWNERS, pool=_POOL, code_version="1")
def raw_items(
    context: dg.AssetExecutionContext,
    settings: Settings,
    warehouse: Warehouse,
    downloads: Downloads,
) -> dg.MaterializeResult[None]:
    """Every item of the catalogue with its attributes; for MovieLens joined with Wikidata."""
    profile = settings.resolve()
    source = open_source(profile.data, downloads, profile.seed)
    return materialize.table(
        context,
        warehouse,
        key=["item_id"],
        config={"source": profile.data.source},
        inputs=source.items_fingerprint(),
        build=source.items,
        describe=_shown(lambda rows: describe.raw_items(rows, profile.data.source)),
    )


@dg.asset(
    group_name=_GROUP,
    kinds=_KINDS,
    owners=_OWNERS,
    pool=_POOL,
    code_version="1",
    deps=["raw_items"],
)
def items(context: dg.AssetExecutionContext, warehouse: Warehouse) -> dg.MaterializeResult[None]:
    """One row per item: unique title, clean attributes, and the text that is embedded."""
    return materialize.table(
        context,
        warehouse,
        key=["item_id"],
        config={},
        inputs={"raw_items": warehouse.data_version("raw_items")},
        build=lambda: build_items(warehouse.read("raw_items")),
        describe=_shown(describe.items),
    )


@dg.asset(
    group_name=_GROUP,
    kinds=_KINDS,
    owners=_OWNERS,
    pool=_POOL,
    code_version="1",
    deps=["raw_interactions", "items"],
)
def interactions(
    context: dg.AssetExecutionContext, settings: Settings, warehouse: Warehouse
) -> dg.MaterializeResult[None]:
    """Events of known items with id and label; repeated rows and unknown items are left out."""
    threshold = settings.resolve().data.liked_threshold
    outcome = build_interactions(
        warehouse.read("raw_interactions"),
        warehouse.read("items", ["item_id"])["item_id"],
        liked_threshold=threshold,
    )
    if outcome.unknown:
        context.log.warning(
            f"{outcome.unknown} interactions name items that the catalogue lacks "
            f"({', '.join(outcome.unknown_items)}, ...) and are left out"
        )
    return materialize.table(
        context,
        warehouse,
        key=["event_id"],
        config={"liked_threshold": threshold},
        inputs={name: warehouse.data_version(name) for name in ("raw_interactions", "items")},
        build=lambda: outcome.events,
        describe=_shown(lambda events: describe.interactions(events, outcome)),
    )


@dg.asset(
    group_name=_GROUP,
    kinds=_KINDS,
    owners=_OWNERS,
    pool=_POOL,
    code_version="1",
    deps=["interactions"],
)
def training_snapshot(
    context: dg.AssetExecutionContext, warehouse: Warehouse
) -> dg.MaterializeResult[None]:
    """The events that models are trained on: all up to now. Only the slow lane renews it."""
    return materialize.table(
        context,
        warehouse,
        key=["event_id"],
        config={},
        inputs={"interactions": warehouse.data_version("interactions")},
        build=lambda: warehouse.read("interactions"),
        describe=_shown(describe.training_snapshot),
    )


@dg.asset(
    group_name=_GROUP,
    kinds=_KINDS,
    owners=_OWNERS,
    pool=_POOL,
    code_version="1",
    deps=["training_snapshot"],
)
def event_splits(
    context: dg.AssetExecutionContext, settings: Settings, warehouse: Warehouse
) -> dg.MaterializeResult[None]:
    """Train, validation and test by time; reward and policy folds by user within train."""
    from curec_assets.datasets.splits import assign_splits

    profile = settings.resolve()
    return materialize.table(
        context,
        warehouse,
        key=["event_id"],
        config={**profile.split.config(), "seed": profile.seed},
        inputs={"training_snapshot": warehouse.data_version("training_snapshot")},
        build=lambda: assign_splits(
            warehouse.read("training_snapshot"), profile.split, profile.seed
        ),
        describe=_shown(describe.event_splits),
    )


@dg.asset(
    group_name=_GROUP,
    kinds=_KINDS,
    owners=_OWNERS,
    pool=_POOL,
    code_version="1",
    deps=["interactions"],
)
def histories(
    context: dg.AssetExecutionContext, settings: Settings, warehouse: Warehouse
) -> dg.MaterializeResult[None]:
    """For every event, what its user did strictly before it: the latest items, oldest first."""
    from curec_assets.datasets.histories import build_histories

    max_history = settings.resolve().data.max_history
    return materialize.table(
        context,
        warehouse,
        key=["event_id"],
        config={"max_history": max_history},
        inputs={"interactions": warehouse.data_version("interactions")},
        build=lambda: build_histories(warehouse.read("interactions"), max_history),
        describe=_shown(describe.histories),
    )


def _shown(
    describe_rows: Callable[[pl.DataFrame], describe.Description],
) -> Callable[[pl.DataFrame], materialize.Metadata]:
    return lambda rows: as_metadata(describe_rows(rows))
