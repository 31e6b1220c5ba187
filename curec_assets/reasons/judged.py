"""Reasons for any rows that the evidence has judged: what is shown now, and new events."""

from collections.abc import Sequence
from dataclasses import replace

import polars as pl

from curec_assets.core.provenance import digest
from curec_assets.core.seeds import derive
from curec_assets.explanation.facts import Catalogue
from curec_assets.explanation.grounding import GroundingChecker
from curec_assets.explanation.thinking import MIDPOINTS
from curec_assets.explanation.writing import ReasonRequest, begun, composed, write_reasons
from curec_assets.reasons.lasting import WAITS, Allowance
from curec_assets.reasons.rows import reason_rows
from curec_assets.settings import Profile
from resources.generation.protocol import TextGenerator

_SHOWN = ("reason", "verdict", "why", "level", "facts", "grounded", "source", "expected_level")


def with_reasons(
    rows: pl.DataFrame,
    evidence: pl.DataFrame,
    notes: Sequence[str],
    generator: TextGenerator,
    catalogue: Catalogue,
    profile: Profile,
    policy_fingerprint: str,
    level_cuts: Sequence[float] = MIDPOINTS,
    allowance: Allowance | None = None,
) -> pl.DataFrame:
    """`rows` (user_id, item_id, ...) with title, reason and the numbers behind it.

    `evidence`: `timestamp` and `evidence.schema.EVIDENCE` of each row as of that time; `notes`: of
    each row, of its user before that time. `level_cuts`: see `thinking.answer`. `allowance`: where
    it is used up, the composer writes, and `source` says that the row is `WAITS`. Raises
    `EngineError` when the generator fails.
    """
    requests = requests_for(rows, evidence, notes, catalogue, profile)
    seed = derive(profile.seed, "recommendations")
    checker = GroundingChecker(profile.explanation.max_words)
    waits = _waiting(requests, generator, profile, seed, allowance) if allowance else set()
    by_policy = write_reasons(
        generator,
        [request for at, request in enumerate(requests) if at not in waits],
        checker,
        profile.language_model,
        seed=seed,
        max_regenerations=profile.reasons.max_regenerations,
        compose_last=True,
        max_level_gap=profile.reasons.max_level_gap,
        level_cuts=level_cuts,
        free=profile.explanation.wording == "free",
    )
    policy = iter(by_policy)
    written = [
        replace(composed(request, checker, seed), source=WAITS) if at in waits else next(policy)
        for at, request in enumerate(requests)
    ]
    written_rows = reason_rows(written, [request.facts for request in requests])
    return rows.with_columns(
        pl.Series("title", [request.facts.title for request in requests], dtype=pl.String),
        evidence["probability"].alias("evidence_probability"),
        *(written_rows[name] for name in _SHOWN),
        pl.lit(policy_fingerprint).alias("policy_fingerprint"),
    )


def _waiting(
    requests: Sequence[ReasonRequest],
    generator: TextGenerator,
    profile: Profile,
    seed: int,
    allowance: Allowance,
) -> set[int]:
    """Positions of the requests that the allowance leaves for a later run."""
    free = begun(generator, requests, profile.language_model, allowance.is_kept, seed=seed)
    new = [position for position in allowance.order if not free[position]]
    return set(new[allowance.most :])


def requests_for(
    rows: pl.DataFrame,
    evidence: pl.DataFrame,
    notes: Sequence[str],
    catalogue: Catalogue,
    profile: Profile,
) -> list[ReasonRequest]:
    """One request per row; see `with_reasons`."""
    asked = pl.concat([rows.select("user_id", "item_id"), evidence], how="horizontal")
    return [
        ReasonRequest(
            # No time: what is asked again later with the same facts is not written again.
            key=digest([row["user_id"], row["item_id"]]),
            facts=catalogue.facts(
                row["item_id"], row["facts"] or (), profile.explanation
            ).with_note(note),
            level=row["level"],
        )
        for row, note in zip(asked.iter_rows(named=True), notes, strict=True)
    ]
