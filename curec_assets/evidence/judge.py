"""From numbers and model to what is said of an event: probability, level, graded facts.

One code for the table `event_evidence` and for candidates now.
"""

import numpy as np
import polars as pl

from curec_assets.evidence import schema
from curec_assets.evidence.crossfit import ForwardModels
from curec_assets.evidence.event_log import Floats, Ints
from curec_assets.evidence.levels import level_of, strength_of
from curec_assets.evidence.model import EvidenceModel
from curec_assets.evidence.named import Named, name
from curec_assets.evidence.numbers import EvidenceNumbers
from curec_assets.settings import EvidenceSettings

_SELDOM = -2


def judge_events(
    events: pl.DataFrame,
    numbers: pl.DataFrame,
    source: EvidenceNumbers,
    models: ForwardModels,
    settings: EvidenceSettings,
) -> pl.DataFrame:
    """`schema.EVENT_EVIDENCE` of events (event_id, user_id, item_id, timestamp, block).

    `numbers`: `COLUMNS` of each event, in their order, as `source` reads them. Events of block 0
    have neither probability nor facts.
    """
    probabilities = models.score(numbers, events["block"])
    contributions = models.contributions(numbers, events["block"])
    judged = graded(probabilities, contributions, name(source, events), settings)
    return pl.concat([events.select("event_id"), judged], how="horizontal")


def judge_candidates(
    rows: pl.DataFrame, numbers: EvidenceNumbers, model: EvidenceModel, settings: EvidenceSettings
) -> pl.DataFrame:
    """`schema.EVIDENCE` of rows with user_id, item_id, timestamp, in their order.

    For a candidate now, the timestamp is one after the last event. Numbers and probabilities of
    many candidates, without facts, come from `numbers.read` and `model.probabilities`.
    """
    read = numbers.read(rows)
    return graded(
        model.probabilities(read), model.contributions(read), name(numbers, rows), settings
    )


def graded(
    probabilities: Floats, contributions: Floats, named: Named, settings: EvidenceSettings
) -> pl.DataFrame:
    """`schema.EVIDENCE`: (events,) probabilities (NaN: none), (events, `schema.GROUPS`) log-odds.

    Facts: the strongest `most_for` and `most_against`, in order of size, then what is not known.
    """
    facts = pl.concat(
        [
            *(
                _facts(kind, contributions[:, place], named, settings)
                for place, kind in enumerate(schema.GROUPS)
            ),
            _unknown("new_item", named.raters, settings.few_raters),
            _unknown("new_user", named.events, settings.few_events),
        ]
    )
    if named.drawn:
        facts = facts.with_columns(_as_implicit())
    sign = pl.col("strength").sign()
    most = pl.when(sign > 0).then(settings.most_for).otherwise(settings.most_against)
    size = pl.col("contribution").abs()
    chosen = (
        facts.sort(["row", size, "kind"], descending=[False, True, False], maintain_order=True)
        .filter((sign == 0) | (pl.int_range(pl.len()).over("row", sign) < most))
        .group_by("row", maintain_order=True)
        .agg(facts=pl.struct(list(schema.FACT.to_schema())))
    )
    cuts = settings.level_cuts
    levels = [None if np.isnan(each) else level_of(each, cuts) for each in probabilities.tolist()]
    return (
        pl.DataFrame(
            {"probability": probabilities, "level": levels},
            schema={"probability": pl.Float64(), "level": pl.Int64()},
        )
        .with_row_index("row")
        .with_columns(pl.col("row").cast(pl.Int64), pl.col("probability").fill_nan(None))
        .join(chosen, on="row", how="left", maintain_order="left")
        .select(
            "probability",
            "level",
            facts=pl.when(pl.col("probability").is_not_null())
            .then("facts")
            .fill_null(pl.lit([], dtype=pl.List(schema.FACT))),
        )
    )


def _as_implicit() -> list[pl.Expr]:
    """Kinds as they are called there. That somebody seldom takes what has an attribute is all that
    can be said against one: nobody said that they disliked it.
    """
    seldom = (pl.col("kind") == "attribute") & (pl.col("strength") < _SELDOM)
    return [
        pl.when(seldom).then(_SELDOM).otherwise("strength").cast(pl.Int64).alias("strength"),
        pl.col("kind").replace(schema.IMPLICIT),
    ]


def _facts(
    kind: str, contributions: Floats, named: Named, settings: EvidenceSettings
) -> pl.DataFrame:
    """Facts of one kind that say something and have something behind them, with their row."""
    cuts = settings.strength_cuts
    strengths = [strength_of(each, cuts) for each in contributions.tolist()]
    graded_rows = pl.DataFrame({"contribution": contributions, "strength": strengths}).with_columns(
        row=pl.int_range(pl.len(), dtype=pl.Int64), kind=pl.lit(kind)
    )
    return pl.concat(
        pl.concat([graded_rows, behind[kind]], how="horizontal").filter(
            pl.col("known") & (pl.col("strength").sign() == sign)
        )
        for sign, behind in ((1, named.speaking_for), (-1, named.speaking_against))
    ).select("row", *schema.FACT.to_schema())


def _unknown(kind: str, known: Ints, few: int) -> pl.DataFrame:
    """A fact of strength 0 wherever fewer than `few` events are known."""
    rows = np.flatnonzero(known < few)
    fact = {**dict.fromkeys(schema.FACT.to_schema()), "kind": kind}
    fact |= {"contribution": 0.0, "strength": 0}
    return pl.DataFrame({"row": rows}, schema={"row": pl.Int64()}).with_columns(
        pl.lit(fact[field], dtype=dtype).alias(field)
        for field, dtype in schema.FACT.to_schema().items()
    )
