"""The asset checks of this stage. Those that guard correctness block what is downstream."""

import dagster as dg
import polars as pl

from curec_assets.core.metadata import no_rows
from curec_assets.evidence.contracts import foreign_facts, wrong_scores
from resources.storage.model_store import ModelStore
from resources.storage.warehouse import Warehouse

_LARGEST_ECE = 0.03


@dg.asset_check(
    asset="evidence_model",
    description=f"The expected calibration error on validation is at most {_LARGEST_ECE}.",
)
def evidence_is_calibrated(model_store: ModelStore) -> dg.AssetCheckResult:
    """Warns only: on few events the error is large by chance."""
    error = model_store.current("evidence_model").manifest.metrics["validation"]["ECE"]
    return dg.AssetCheckResult(
        passed=error is not None and error <= _LARGEST_ECE,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"ECE {error}",
        metadata={"ece": error if error is not None else "no validation event"},
    )


@dg.asset_check(
    asset="evidence_model",
    blocking=True,
    additional_deps=["event_splits"],
    description="Every event has a probability strictly between 0 and 1, but for those of the "
    "first block of training events, which no model of earlier events can score.",
)
def evidence_scores_are_forward(
    warehouse: Warehouse, model_store: ModelStore
) -> dg.AssetCheckResult:
    """Complete, inside (0, 1), and none where it would come from the event itself."""
    folder = model_store.current("evidence_model").path
    return no_rows(
        wrong_scores(
            pl.read_parquet(folder / "predictions.parquet"),
            warehouse.read("event_splits", ["event_id", "split"]),
        )
    )


@dg.asset_check(
    asset="event_evidence",
    blocking=True,
    additional_deps=["event_splits"],
    description="A related item was rated by the user before the event, with the label that the "
    "fact says.",
)
def evidence_in_history(warehouse: Warehouse) -> dg.AssetCheckResult:
    """Every event has an evidence row, and nothing is named that the user has not met before."""
    return no_rows(
        foreign_facts(
            warehouse.read("event_evidence", ["event_id", "facts"]),
            warehouse.read(
                "event_splits", ["event_id", "user_id", "item_id", "liked", "timestamp"]
            ),
        )
    )
