"""The evidence of any (user, item, time) as numbers, from strictly earlier events.

`EvidenceNumbers` asks each kind of evidence. The same code serves training, evaluation and serving:
a query may be a past event or a candidate now. No asset uses it yet (issue 12).
"""

from dataclasses import dataclass
from typing import Protocol

import polars as pl

from curec_assets.evidence.attributes import Attributes, item_attributes
from curec_assets.evidence.bias import Bias
from curec_assets.evidence.content import Content, item_components
from curec_assets.evidence.event_log import EventLog, Floats, Queries
from curec_assets.evidence.factors import Factors
from curec_assets.evidence.neighbours import Neighbours
from curec_assets.evidence.trend import Trend


@dataclass(frozen=True)
class NumbersConfig:
    """What the numbers depend on besides events and items."""

    prior_events: float = 5.0
    """Events' worth of prior in every running mean."""
    max_raters: int = 1000
    """Latest raters of a candidate that are asked what they liked besides."""
    max_events: int = 500
    """Latest events of a user that neighbours are sought for."""
    factors: int = 8
    factor_ridge: float = 9.0
    """Penalty of the factors' regressions."""
    text_components: int = 24
    """Principal components of item texts that a user's regression reads."""
    text_ridge: float = 100.0
    """Penalty of that regression."""


class EvidenceKind(Protocol):
    """One kind of evidence over an `EventLog`."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of its numbers."""
        ...

    def read(self, queries: Queries) -> Floats:
        """(queries, columns) finite numbers, from events strictly before each query's time only."""
        ...


COLUMNS: tuple[str, ...] = (
    *Bias.columns,
    *Trend.columns,
    *Neighbours.columns,
    *Factors.columns,
    *Attributes.columns,
    *Content.columns,
)
"""All numbers, kind after kind."""


class EvidenceNumbers:
    """Every kind of evidence over one log of events."""

    def __init__(
        self,
        interactions: pl.DataFrame,
        items: pl.DataFrame,
        item_embeddings: pl.DataFrame,
        config: NumbersConfig,
        seed: int,
    ) -> None:
        """`interactions`: user_id, item_id, timestamp, rating, liked. `items`: item_id, attributes.
        `item_embeddings`: item_id, embedding.
        """
        self.log = log = EventLog(interactions)
        bias = Bias(log, config.prior_events)
        components = item_components(item_embeddings, log, config.text_components, seed)
        self.kinds: dict[str, EvidenceKind] = {
            "bias": bias,
            "trend": Trend(log, bias, config.prior_events),
            "neighbours": Neighbours(
                log, bias, max_raters=config.max_raters, max_history=config.max_events
            ),
            "factors": Factors(
                log, bias, rank=config.factors, ridge=config.factor_ridge, seed=seed
            ),
            "attributes": Attributes(log, bias, item_attributes(items, log), config.prior_events),
            "content": Content(log, bias, components, config.text_ridge),
        }

    def read(self, rows: pl.DataFrame) -> pl.DataFrame:
        """`COLUMNS` (Float32) of rows with user_id, item_id, timestamp, in their order."""
        queries = self.log.encode(rows)
        return pl.DataFrame(
            {
                column: pl.Series(numbers[:, place], dtype=pl.Float32)
                for kind in self.kinds.values()
                for numbers in (kind.read(queries),)
                for place, column in enumerate(kind.columns)
            },
            schema=dict.fromkeys(COLUMNS, pl.Float32),
        )
