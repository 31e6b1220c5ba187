"""The rungs that are texts: reasons by the untuned, the aligned and the reinforced model.

All write on the same events: a seeded part of those that have a corrected reason. Each text is kept
as soon as it is there, so an interrupted run goes on where it was. Whole rungs are kept in the home
for `curec compare`.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from benchmarks.home import Home
from curec_assets.core.inputs import completions_folder
from curec_assets.explanation.facts import Catalogue, facts_by_event
from curec_assets.explanation.grounding import GroundingChecker
from curec_assets.explanation.selection import draw
from curec_assets.explanation.writing import ReasonRequest, matched_levels, write_reasons
from curec_assets.serving.writers import WRITTEN, rung_file
from resources.generation.journal import journaled_generator
from resources.generation.protocol import GeneratorFactory

WRITERS: Mapping[str, str | None] = {
    "untuned": None,
    "aligned": "aligned_llm",
    "rl": "reason_policy",
}
"""Rung → the asset whose adapter writes it; None: the base model as it is."""
CORRECTED = "corrected"
"""The rung of the stored reasons."""
SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class Written:
    """Reasons of one rung."""

    rung: str
    reasons: pl.DataFrame
    """event_id, user_id, split, liked, probability, evidence_level, verdict, expected_level,
    grounded; `serving.writers.WRITTEN`."""
    made_with: str
    """By which weights."""

    def keep(self, home: Path) -> None:
        """Store them where `curec compare` finds them."""
        file = rung_file(home, self.rung)
        file.parent.mkdir(parents=True, exist_ok=True)
        temporary = file.with_name(f".{file.name}.{os.getpid()}")
        rows = self.reasons.drop_nulls("reason").select("user_id", *WRITTEN.names())
        rows.with_columns(made_with=pl.lit(self.made_with)).write_parquet(temporary)
        temporary.rename(file)


def chosen_events(home: Home, per_split: int | None) -> pl.DataFrame:
    """At most `per_split` events of each split that have a corrected reason, by a seeded hash."""
    stored = home.warehouse.read("recommendation_reasons", ["event_id", "split"])
    per_split = stored.height if per_split is None else per_split
    chosen = [
        event_id
        for split in SPLITS
        for event_id in draw(
            stored.filter(split=split)["event_id"],
            per_split,
            seed=home.profile.seed,
            purpose=f"ladder {split}",
        )
    ]
    events = home.warehouse.read("event_splits").filter(pl.col("event_id").is_in(chosen))
    evidence = home.warehouse.read("event_evidence", ["event_id", "probability", "level"])
    return events.join(
        evidence.rename({"level": "evidence_level"}), on="event_id", maintain_order="left"
    ).select("event_id", "user_id", "item_id", "split", "liked", "probability", "evidence_level")


def write(home: Home, rung: str, events: pl.DataFrame, factory: GeneratorFactory) -> Written:
    """The first attempt of a rung's model at every event, kept as it is."""
    asset = WRITERS[rung]
    model = home.current(asset) if asset else None
    catalogue = Catalogue(home.warehouse.read("items"))
    profile = home.profile
    facts = facts_by_event(
        events, home.warehouse.read("event_evidence"), catalogue, profile.explanation
    )
    weights = model.manifest.data_version if model else f"base {home.base.revision}"
    with journaled_generator(
        factory,
        home.base,
        model.path / "adapter" if model else None,
        profile.generator_options(),
        workspace=completions_folder(home.models, weights),
        identity=weights,
    ) as generator:
        requests = {
            event_id: ReasonRequest(event_id, facts[event_id], level)
            for event_id, level in events.select("event_id", "evidence_level").iter_rows()
        }
        cuts = matched_levels(
            generator,
            [requests[event_id] for event_id in events.filter(split="train")["event_id"]],
            profile.language_model,
            seed=profile.seed,
        )
        written = write_reasons(
            generator,
            list(requests.values()),
            GroundingChecker(profile.explanation.max_words),
            profile.language_model,
            seed=profile.seed,
            max_regenerations=0,
            compose_last=False,
            level_cuts=cuts,
        )
    return Written(
        rung,
        events.drop("item_id").with_columns(
            pl.Series("reason", [w.reason for w in written], dtype=pl.String),
            pl.Series("verdict", [w.verdict for w in written], dtype=pl.String),
            pl.Series("why", [w.why for w in written], dtype=pl.String),
            pl.Series("level", [w.level for w in written], dtype=pl.Int64),
            pl.Series("expected_level", [w.expected_level for w in written], dtype=pl.Float64),
            pl.Series("grounded", [w.grounded for w in written], dtype=pl.Boolean),
            pl.Series("source", [w.source for w in written], dtype=pl.String),
            pl.Series("cited", [list(w.cited) for w in written], dtype=pl.List(pl.String)),
            pl.Series("facts_left_out", [w.facts_left_out for w in written], dtype=pl.Int64),
            note=pl.lit(""),
        ),
        f"weights {weights}",
    )


def of_walk(rung: str, events: pl.DataFrame, walk: pl.DataFrame, weights: str) -> Written:
    """The reasons of a walk (`reasons.walk.SHARD`) about the same events."""
    columns = [*WRITTEN.names(), "verdict", "expected_level", "grounded"]
    joined = events.drop("item_id").join(walk.select(columns), on="event_id", maintain_order="left")
    return Written(rung, joined, f"a walk with weights {weights}")
