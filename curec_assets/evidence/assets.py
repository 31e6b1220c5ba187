"""The asset of the group `evidence`: read, call, record."""

import dagster as dg

from curec_assets.core import materialize
from curec_assets.core.metadata import as_metadata
from curec_assets.evidence.describe import describe
from curec_assets.settings import Settings
from resources.storage.warehouse import Warehouse


@dg.asset(
    group_name="evidence",
    kinds={"duckdb", "polars"},
    owners=["team:curec"],
    pool="warehouse",
    code_version="1",
    deps=["interactions", "event_splits", "histories", "items"],
)
def collaborative_evidence(
    context: dg.AssetExecutionContext, settings: Settings, warehouse: Warehouse
) -> dg.MaterializeResult[None]:
    """For every event, the history items that other users' earlier training likes relate to it."""
    from curec_assets.evidence import collaborative

    chosen = settings.resolve().evidence
    names = ("interactions", "event_splits", "histories")
    return materialize.table(
        context,
        warehouse,
        key=["event_id"],
        config=chosen.model_dump(mode="json", exclude={"max_attributes"}),
        inputs={name: warehouse.data_version(name) for name in names},
        build=lambda: collaborative.collaborative_evidence(
            collaborative.train_likes(warehouse.read("event_splits")),
            warehouse.read("interactions"),
            warehouse.read("histories", ["event_id", "item_ids", "likes", "timestamps"]),
            chosen,
        ),
        describe=lambda rows: as_metadata(
            describe(rows, warehouse.read("interactions"), warehouse.read("items"))
        ),
    )
