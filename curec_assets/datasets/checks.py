"""The asset checks of this stage. All that guard correctness block what is downstream."""

import dagster as dg

from curec_assets.core.metadata import no_problems, no_rows
from curec_assets.datasets import contracts
from resources.storage.warehouse import Warehouse

_FRAME_ROWS = 100_000


@dg.asset_check(
    asset="quarantine",
    description="No row of the interactions was left out. A share above data.most_bad_share is "
    "refused before anything is stored.",
)
def nothing_in_quarantine(warehouse: Warehouse) -> dg.AssetCheckResult:
    """Warns of cells that could not be used; `curec quarantine` lists them."""
    cells = warehouse.read("quarantine", ["row"])
    return dg.AssetCheckResult(
        passed=cells.is_empty(),
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{cells['row'].n_unique()} rows were left out; `curec quarantine` lists them"
        if cells.height
        else None,
        metadata={"rows": cells["row"].n_unique()},
    )


@dg.asset_check(
    asset="items",
    blocking=True,
    description="Row contract (dagster-pandas): types, no nulls, keys.",
)
def items_schema(warehouse: Warehouse) -> dg.AssetCheckResult:
    """Ids, titles and texts are non-null strings; ids and titles are unique."""
    from curec_assets.datasets import row_contracts

    rows = warehouse.read("items", ["item_id", "title", "text"])
    return _said(row_contracts.objection(rows, row_contracts.ITEMS), rows.height)


@dg.asset_check(
    asset="items", blocking=True, description="Titles are unique, without quotes and newlines."
)
def items_titles(warehouse: Warehouse) -> dg.AssetCheckResult:
    """Reasons name items by title, so a title must mean one item."""
    return no_rows(contracts.bad_titles(warehouse.read("items", ["item_id", "title"])))


@dg.asset_check(
    asset="interactions",
    blocking=True,
    description="Row contract (dagster-pandas) of the newest events: types, no nulls.",
)
def interactions_schema(warehouse: Warehouse) -> dg.AssetCheckResult:
    """All columns are non-null and of their type; of so many events that a frame has room.

    What is drawn has no rating, and is not liked.
    """
    from curec_assets.datasets import row_contracts

    rows = warehouse.query(
        "SELECT * REPLACE (coalesce(rating, CASE WHEN liked THEN NULL ELSE 0 END) AS rating) "
        f"FROM interactions ORDER BY timestamp DESC LIMIT {_FRAME_ROWS}"
    )
    return _said(row_contracts.objection(rows, row_contracts.INTERACTIONS), rows.height)


@dg.asset_check(
    asset="interactions",
    blocking=True,
    description="One event per user, item and time.",
)
def interactions_unique(warehouse: Warehouse) -> dg.AssetCheckResult:
    """No two events have the same id, which is a hash of user, item and time."""
    # Sorting hashes takes a third of the time of groups, which are made only where hashes repeat.
    hashes = warehouse.query(
        "SELECT if(event_id IS NULL, NULL, hash(event_id)) AS hash FROM interactions"
    )["hash"].sort()
    if not hashes.null_count() and not (hashes == hashes.shift()).any():
        return no_rows(hashes.to_frame().clear())
    return no_rows(
        warehouse.query(
            "SELECT event_id, count(*) AS rows FROM interactions "
            "GROUP BY event_id HAVING rows > 1 OR event_id IS NULL"
        )
    )


@dg.asset_check(
    asset="interactions",
    blocking=True,
    additional_deps=["items"],
    description="Every event's item is in `items`.",
)
def interactions_items_known(warehouse: Warehouse) -> dg.AssetCheckResult:
    """Referential integrity."""
    return no_rows(
        warehouse.query(
            "WITH unknown AS (FROM (SELECT DISTINCT item_id FROM interactions) "
            "ANTI JOIN items USING (item_id)) "
            "SELECT event_id, item_id FROM interactions SEMI JOIN unknown USING (item_id)"
        )
    )


@dg.asset_check(
    asset="event_splits",
    blocking=True,
    description="Train ends before validation begins, validation before test.",
)
def splits_in_time_order(warehouse: Warehouse) -> dg.AssetCheckResult:
    """No timestamp is divided by a cut, and no split is empty."""
    return no_problems(
        contracts.split_disorder(warehouse.read("event_splits", ["split", "timestamp"]))
    )


@dg.asset_check(
    asset="event_splits",
    blocking=True,
    description="Reward and policy fold share no user; neither is empty.",
)
def folds_disjoint(warehouse: Warehouse) -> dg.AssetCheckResult:
    """The reward model never scores an event of a user that it was fitted on."""
    return no_problems(
        contracts.fold_faults(warehouse.read("event_splits", ["user_id", "split", "fold"]))
    )


def _said(objection: str, rows: int) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        passed=not objection, metadata={"objection": objection, "rows_checked": rows}
    )
