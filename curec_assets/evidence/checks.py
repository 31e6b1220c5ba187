"""The asset check of this stage. It guards correctness, so it blocks what is downstream."""

import dagster as dg

from curec_assets.core.metadata import no_rows
from curec_assets.evidence.contracts import foreign_evidence
from resources.storage.warehouse import Warehouse


@dg.asset_check(
    asset="collaborative_evidence",
    blocking=True,
    additional_deps=["histories"],
    description="Evidence items come from the event's history, with the label they have there.",
)
def evidence_in_history(warehouse: Warehouse) -> dg.AssetCheckResult:
    """Every event has an evidence row, and nothing is shown that the user has not met before."""
    return no_rows(
        foreign_evidence(
            warehouse.read("collaborative_evidence", ["event_id", "liked_ids", "disliked_ids"]),
            warehouse.read("histories", ["event_id", "item_ids", "likes"]),
        )
    )
