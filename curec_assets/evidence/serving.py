"""Evidence of the events that the recommender is fitted on.

The recommender's snapshot may be newer than the one that the evidence model and the language model
were fitted on. Where it is the older one and what came since, the numbers of the older events are
as they were (evidence is of strictly earlier events), and only the newer ones are asked for.
"""

from collections.abc import Callable

import polars as pl

from curec_assets.datasets import schema
from curec_assets.evidence.model import EvidenceModel
from curec_assets.evidence.numbers import COLUMNS

_EVENT = list(schema.INTERACTIONS)
_ORDER = ("timestamp", "event_id")


def newer_events(events: pl.DataFrame, earlier: pl.DataFrame) -> pl.DataFrame | None:
    """What `events` have after `earlier`; None when that is not all that they differ in.

    Both are rows of `schema.INTERACTIONS`.
    """
    ordered, known = events.sort(_ORDER), earlier.sort(_ORDER).select(_EVENT)
    if not ordered.head(known.height).select(_EVENT).equals(known):
        return None
    return ordered.tail(ordered.height - known.height)


def evidence_of(
    events: pl.DataFrame,
    earlier: tuple[pl.DataFrame, pl.DataFrame],
    forward: pl.DataFrame,
    model: EvidenceModel,
    read: Callable[[pl.DataFrame], pl.DataFrame],
) -> pl.DataFrame:
    """`event_id`, `COLUMNS` and `probability` of `events`.

    `earlier`: events whose numbers are known, and these numbers with `event_id`. `forward`:
    event_id, probability of events that a model scored which had not seen them; all others are
    scored by `model`, which was fitted on those. `read`: from events to their numbers.
    """
    known, numbers = earlier
    asked = newer_events(events, known)
    if asked is None:
        asked, numbers = events, numbers.clear()
    if asked.height:
        found = pl.concat([asked.select("event_id"), read(asked)], how="horizontal")
        numbers = pl.concat([numbers.select("event_id", *COLUMNS), found])
    rows = (
        events.select("event_id")
        .join(numbers, on="event_id", how="left", maintain_order="left")
        .join(forward, on="event_id", how="left", maintain_order="left")
    )
    unscored = rows.join(forward, on="event_id", how="anti", maintain_order="left")
    if unscored.height:
        scored = unscored.select("event_id", final=pl.Series(model.probabilities(unscored)))
        rows = rows.join(scored, on="event_id", how="left", maintain_order="left").with_columns(
            pl.coalesce("probability", "final").alias("probability")
        )
    return rows.select("event_id", *COLUMNS, "probability")
