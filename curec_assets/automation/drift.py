"""Is the training snapshot too old? New events against it, in a few plain figures."""

from dataclasses import asdict, dataclass

import dagster as dg
import polars as pl

from curec_assets.automation.jobs import retrain
from curec_assets.settings import DriftSettings, Settings
from resources.errors import ArtifactError
from resources.storage.model_store import ModelStore
from resources.storage.warehouse import Warehouse

_ONCE_A_DAY = 86_400
_EVENT = ["event_id", "user_id", "item_id", "liked"]


@dataclass(frozen=True)
class Drift:
    """How new events differ from the snapshot's."""

    new_events: int
    new_share: float
    """New events / events of the snapshot."""
    like_rate: float
    """Of new events."""
    like_rate_shift: float
    """Difference to the snapshot's."""
    unknown_users: float
    """Share of new events whose user the snapshot does not have."""
    unknown_items: float
    log_loss: float | None
    """Of the evidence model on new events that have a reason; None where there are too few."""
    log_loss_rise: float | None
    """Over that on the snapshot's test events."""

    def said(self) -> dict[str, str]:
        """Tags of a run."""
        return {
            f"curec/drift.{name}": str(value if isinstance(value, int) else round(value, 4))
            for name, value in asdict(self).items()
            if value is not None
        }


def measured(
    interactions: pl.DataFrame,
    snapshot: pl.DataFrame,
    live: pl.DataFrame,
    log_loss_then: float | None,
    least_events: int,
) -> Drift | None:
    """None where there is no new event.

    `interactions`, `snapshot`: event_id, user_id, item_id, liked; `live`: evidence_probability and
    liked of `live_reasons`; `log_loss_then`: the evidence model's on the snapshot's test events.
    """
    from curec_assets.evaluation.metrics import log_losses

    new = interactions.join(snapshot.select("event_id"), on="event_id", how="anti")
    if new.is_empty():
        return None

    def unknown(column: str) -> float:
        return new.join(snapshot, on=column, how="anti").height / new.height

    rate, before = (float(rows["liked"].to_numpy().mean()) for rows in (new, snapshot))
    log_loss = None
    if live.height >= least_events:
        losses = log_losses(live["liked"].to_numpy(), live["evidence_probability"].to_numpy())
        log_loss = float(losses.mean())
    compared = log_loss is not None and log_loss_then is not None
    return Drift(
        new_events=new.height,
        new_share=new.height / snapshot.height,
        like_rate=rate,
        like_rate_shift=abs(rate - before),
        unknown_users=unknown("user_id"),
        unknown_items=unknown("item_id"),
        log_loss=log_loss,
        log_loss_rise=log_loss - log_loss_then if compared else None,  # type: ignore[operator]
    )


def drift_now(warehouse: Warehouse, store: ModelStore, least_events: int) -> Drift | None:
    """`measured` of what is stored. Raises `ArtifactError` where a part of it is not made yet."""
    return measured(
        warehouse.read("interactions", _EVENT),
        warehouse.read("training_snapshot", _EVENT),
        warehouse.read("live_reasons", ["evidence_probability", "liked"]),
        store.current("evidence_model").manifest.metrics["test"]["LogLoss"],
        least_events,
    )


def too_far(drift: Drift, limits: DriftSettings) -> list[str]:
    """What is beyond its limit, in words."""
    rates = drift.new_events >= limits.least_events
    return [
        f"{name} {value:.3f} >= {limit}"
        for name, value, limit, tells in (
            ("new_share", drift.new_share, limits.new_share, True),
            ("like_rate_shift", drift.like_rate_shift, limits.like_rate_shift, rates),
            ("unknown_items", drift.unknown_items, limits.unknown_items, rates),
            ("log_loss_rise", drift.log_loss_rise or 0.0, limits.log_loss_rise, rates),
        )
        if tells and value >= limit
    ]


@dg.sensor(
    name="drift",
    job=retrain,
    default_status=dg.DefaultSensorStatus.STOPPED,
    minimum_interval_seconds=_ONCE_A_DAY,
    description="Once a day: asks for `retrain`, once per snapshot, when new events are too far "
    "from it (settings `drift`). Stopped at first: it costs hours of model work.",
)
def drift_sensor(
    context: dg.SensorEvaluationContext,
    settings: Settings,
    warehouse: Warehouse,
    model_store: ModelStore,
) -> dg.RunRequest | dg.SkipReason:
    """The run's tags have the figures."""
    limits = settings.resolve().drift
    try:
        snapshot = warehouse.existing_manifest("training_snapshot")
        found = drift_now(warehouse, model_store, limits.least_events)
    except ArtifactError as error:
        return dg.SkipReason(f"nothing to compare yet: {error}")
    if found is None:
        return dg.SkipReason("no event is newer than the snapshot")
    beyond = too_far(found, limits)
    if not beyond:
        return dg.SkipReason(f"near enough: {found}")
    return dg.RunRequest(
        run_key=snapshot.data_version, tags={"curec/why": "; ".join(beyond), **found.said()}
    )
