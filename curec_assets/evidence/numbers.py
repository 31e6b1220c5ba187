"""The evidence of any (user, item, time) as numbers, from strictly earlier events.

`EvidenceNumbers` asks each kind of evidence. The same code serves training, evaluation and serving:
a query may be a past event or a candidate now.
"""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import numpy as np
import polars as pl

from curec_assets.core.provenance import digest
from curec_assets.evidence.attributes import COLUMNS as ATTRIBUTE_COLUMNS
from curec_assets.evidence.attributes import Attributes, item_attributes
from curec_assets.evidence.bias import COLUMNS as BIAS_COLUMNS
from curec_assets.evidence.bias import Bias
from curec_assets.evidence.content import COLUMNS as CONTENT_COLUMNS
from curec_assets.evidence.content import Content
from curec_assets.evidence.ease import COLUMNS as EASE_COLUMNS
from curec_assets.evidence.ease import Ease
from curec_assets.evidence.event_log import EventLog, Floats, Queries
from curec_assets.evidence.factors import COLUMNS as FACTOR_COLUMNS
from curec_assets.evidence.factors import Factors
from curec_assets.evidence.fits import KeptFits
from curec_assets.evidence.neighbours import COLUMNS as NEIGHBOUR_COLUMNS
from curec_assets.evidence.neighbours import Neighbours
from curec_assets.evidence.release import COLUMNS as RELEASE_COLUMNS
from curec_assets.evidence.release import Release
from curec_assets.evidence.reviews import COLUMNS as REVIEW_COLUMNS
from curec_assets.evidence.reviews import Reviews
from curec_assets.evidence.text_components import TextComponents
from curec_assets.evidence.trend import COLUMNS as TREND_COLUMNS
from curec_assets.evidence.trend import Trend
from curec_assets.settings import EvidenceSettings


class EvidenceKind(Protocol):
    """One kind of evidence over an `EventLog`."""

    @property
    def columns(self) -> Mapping[str, str]:
        """Its numbers, each with the kind of fact (`schema.KINDS`) that it belongs to."""
        ...

    def read(self, queries: Queries) -> Floats:
        """(queries, columns) finite numbers, from events strictly before each query's time only."""
        ...


KIND_OF: Mapping[str, str] = {
    **BIAS_COLUMNS,
    **TREND_COLUMNS,
    **NEIGHBOUR_COLUMNS,
    **FACTOR_COLUMNS,
    **ATTRIBUTE_COLUMNS,
    **CONTENT_COLUMNS,
    **EASE_COLUMNS,
    **RELEASE_COLUMNS,
    **REVIEW_COLUMNS,
}
"""Every number with the kind of fact that it belongs to."""
COLUMNS: tuple[str, ...] = tuple(KIND_OF)
"""All numbers, kind of evidence after kind."""


class EvidenceNumbers:
    """Every kind of evidence over one log of events."""

    def __init__(
        self,
        interactions: pl.DataFrame | EventLog,
        items: pl.DataFrame,
        item_embeddings: pl.DataFrame | TextComponents,
        settings: EvidenceSettings,
        seed: int,
        *,
        fits: Path | None = None,
    ) -> None:
        """`interactions`: `event_log.COLUMNS_READ`, perhaps without opinions. `items`: item_id,
        year, attributes. `item_embeddings`: item_id, embedding. `fits`: where the last are kept.

        Of a log or an item's texts that are large, give what is made from them, so that the table
        need not be in memory for as long as this.
        """
        made_with = [seed, settings.prior_events, settings.factors, settings.factor_ridge]
        kept = KeptFits(fits, digest([*made_with, settings.ease_l2, settings.ease_items]))
        if isinstance(item_embeddings, pl.DataFrame):
            item_embeddings = TextComponents.of(item_embeddings, settings.text_components, seed)
        if isinstance(interactions, pl.DataFrame):
            interactions = EventLog(interactions)
        self.log = log = interactions
        bias = Bias(log, settings.prior_events)
        components = item_embeddings.of_items(log.item_ids, settings.text_components)
        self.neighbours = Neighbours(
            log, bias, max_raters=settings.max_raters, max_history=settings.max_events
        )
        self.attributes = Attributes(log, bias, item_attributes(items, log), settings.prior_events)
        self.reviews = Reviews(log, settings.prior_events)
        self.kinds: Mapping[str, EvidenceKind] = {
            "bias": bias,
            "trend": Trend(log, bias, settings.prior_events),
            "neighbours": self.neighbours,
            "factors": Factors(
                log, bias, rank=settings.factors, ridge=settings.factor_ridge, seed=seed, fits=kept
            ),
            "attributes": self.attributes,
            "content": Content(log, bias, components, settings.text_ridge),
            "ease": Ease(log, bias, l2=settings.ease_l2, max_items=settings.ease_items, fits=kept),
            "release": Release(items, log),
            "reviews": self.reviews,
        }

    def read(self, rows: pl.DataFrame) -> pl.DataFrame:
        """`COLUMNS` (Float32) of rows with user_id, item_id, timestamp, in their order."""
        return self.read_timed(rows)[0]

    def read_timed(self, rows: pl.DataFrame) -> tuple[pl.DataFrame, dict[str, float]]:
        """The same, and the seconds of each kind of evidence."""
        queries = self.log.encode(rows)
        columns: dict[str, pl.Series] = {}
        seconds: dict[str, float] = {}
        for name, kind in self.kinds.items():
            started = time.perf_counter()
            numbers = kind.read(queries).astype(np.float32)
            seconds[name] = round(time.perf_counter() - started, 2)
            columns |= {
                column: pl.Series(numbers[:, place]) for place, column in enumerate(kind.columns)
            }
        return pl.DataFrame(columns, schema=dict.fromkeys(COLUMNS, pl.Float32)), seconds
