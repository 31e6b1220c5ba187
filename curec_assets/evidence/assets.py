"""The assets of this stage: what each reads, depends on and writes, and how it is made."""

from collections.abc import Mapping
from typing import Any

import polars as pl

from curec_assets.core.inputs import Inputs
from curec_assets.core.recipe import artifact, table
from curec_assets.evidence import describe, schema
from resources.errors import ArtifactError

_GROUP = "evidence"
_NUMBERS_SETTINGS = (
    "evidence.prior_events",
    "evidence.max_raters",
    "evidence.max_events",
    "evidence.factors",
    "evidence.factor_ridge",
    "evidence.text_components",
    "evidence.text_ridge",
    "evidence.ease_l2",
    "evidence.ease_items",
    "seed",
)


@table(
    group=_GROUP,
    kinds={"duckdb", "polars"},
    key=["event_id"],
    tables=("training_snapshot", "items", "item_embeddings"),
    settings=_NUMBERS_SETTINGS,
    describe=lambda rows, inputs: describe.numbers(rows, inputs.metrics),
)
def evidence_numbers(inputs: Inputs) -> tuple[pl.DataFrame, Mapping[str, Any]]:
    """For every event of the snapshot, what strictly earlier events say of it, as numbers."""
    from curec_assets.evidence.event_log import COLUMNS_READ, EventLog
    from curec_assets.evidence.numbers import EvidenceNumbers
    from curec_assets.evidence.text_components import TextComponents

    settings, seed = inputs.settings.evidence, inputs.settings.seed
    # The widest first, and each table gone before the next is read.
    texts = TextComponents.of(inputs.table("item_embeddings"), settings.text_components, seed)
    numbers = EvidenceNumbers(
        EventLog(inputs.table("training_snapshot", COLUMNS_READ)),
        inputs.table("items", ["item_id", "year", "attributes"]),
        texts,
        settings,
        seed,
        fits=inputs.fits(),
    )
    events = inputs.table("training_snapshot", ["event_id", "user_id", "item_id", "timestamp"])
    rows, seconds = numbers.read_timed(events)
    return pl.concat([events.select("event_id"), rows], how="horizontal"), {"seconds": seconds}


@artifact(
    group=_GROUP,
    kinds={"lightgbm", "scikitlearn"},
    tables=("event_splits", "evidence_numbers"),
    settings=(
        "evidence.model",
        "evidence.time_blocks",
        "evidence.max_trees",
        "evidence.leaves",
        "evidence.learning_rate",
        "evidence.min_leaf_events",
        "evidence.logistic_penalty",
        "evidence.held_out",
        "seed",
    ),
    describe=lambda stored, _: describe.model(stored.manifest.metrics),
    tracked=lambda stored: describe.tracked_model(stored.manifest.metrics),
)
def evidence_model(inputs: Inputs) -> Mapping[str, Any]:
    """From evidence numbers to the probability of a like, fitted forward in time and calibrated.

    Holds every model, and the forward predictions of all events.
    """
    from curec_assets.evidence.build import build_evidence_model

    return build_evidence_model(
        inputs.output(),
        inputs.table("event_splits"),
        inputs.table("evidence_numbers"),
        settings=inputs.settings.evidence,
        seed=inputs.settings.seed,
    )


def _model_is_of_these_events(inputs: Inputs) -> None:
    made_from = inputs.artifact("evidence_model").manifest.inputs
    for name, version in inputs.versions("event_splits", "evidence_numbers").items():
        if made_from[name] != version:
            raise ArtifactError(
                f"evidence_model was made from {name} {made_from[name]}, but {name} is now "
                f"{version}; materialise `evidence_model` again"
            )


@table(
    group=_GROUP,
    kinds={"duckdb", "polars"},
    key=["event_id"],
    schema=schema.EVENT_EVIDENCE,
    tables=("training_snapshot", "event_splits", "items", "item_embeddings", "evidence_numbers"),
    artifacts=("evidence_model",),
    settings=(
        *_NUMBERS_SETTINGS,
        "evidence.time_blocks",
        "evidence.level_cuts",
        "evidence.strength_cuts",
        "evidence.most_for",
        "evidence.most_against",
        "evidence.few_raters",
        "evidence.few_events",
    ),
    guard=_model_is_of_these_events,
    describe=lambda rows, inputs: describe.evidence(
        rows, inputs.table("event_splits"), inputs.table("items")
    ),
)
def event_evidence(inputs: Inputs) -> pl.DataFrame:
    """Of every event of the snapshot: probability of a like, its level, and the facts behind it."""
    from curec_assets.evidence.build import aligned
    from curec_assets.evidence.crossfit import ForwardModels, time_blocks
    from curec_assets.evidence.event_log import COLUMNS_READ
    from curec_assets.evidence.judge import judge_events
    from curec_assets.evidence.numbers import EvidenceNumbers

    settings = inputs.settings.evidence
    events = inputs.table("event_splits")
    return judge_events(
        events.with_columns(block=time_blocks(events, settings.time_blocks)),
        aligned(inputs.table("evidence_numbers"), events),
        EvidenceNumbers(
            inputs.table("training_snapshot", COLUMNS_READ),
            inputs.table("items"),
            inputs.table("item_embeddings"),
            settings,
            inputs.settings.seed,
            fits=inputs.fits(),
        ),
        ForwardModels.load(inputs.artifact("evidence_model").path),
        settings,
    )


def _describe_serving(rows: pl.DataFrame, inputs: Inputs) -> Mapping[str, Any]:
    return {
        "events_read": inputs.metrics["read"],
        "without_probability": rows["probability"].null_count(),
    }


@table(
    group=_GROUP,
    kinds={"duckdb", "lightgbm"},
    key=["event_id"],
    tables=(
        *("serving_snapshot", "items", "item_embeddings"),
        *("training_snapshot", "evidence_numbers", "event_evidence"),
    ),
    artifacts=("evidence_model",),
    settings=_NUMBERS_SETTINGS,
    describe=_describe_serving,
)
def serving_evidence(inputs: Inputs) -> tuple[pl.DataFrame, Mapping[str, Any]]:
    """For every event that the recommender is fitted on, its numbers and the model's probability.

    Those of the training snapshot are taken from there, as far as they would be the same now.
    """
    from curec_assets.evidence.crossfit import load_final
    from curec_assets.evidence.numbers import EvidenceNumbers
    from curec_assets.evidence.serving import evidence_of

    events, items = inputs.table("serving_snapshot"), inputs.table("items")
    item_embeddings = inputs.table("item_embeddings")
    known, numbers = inputs.table("training_snapshot"), inputs.table("evidence_numbers")
    made_from = inputs.manifest("evidence_numbers").inputs
    if any(
        made_from[name] != version
        for name, version in inputs.versions(
            "training_snapshot", "items", "item_embeddings"
        ).items()
    ):
        known, numbers = known.clear(), numbers.clear()
    asked = 0

    def read(rows: pl.DataFrame) -> pl.DataFrame:
        nonlocal asked
        asked = rows.height
        settings, seed = inputs.settings.evidence, inputs.settings.seed
        return EvidenceNumbers(
            events, items, item_embeddings, settings, seed, fits=inputs.fits()
        ).read(rows)

    return evidence_of(
        events,
        (known, numbers),
        inputs.table("event_evidence", ["event_id", "probability"]),
        load_final(inputs.artifact("evidence_model").path),
        read,
    ), {"read": asked}


RECIPES = (evidence_numbers, evidence_model, event_evidence, serving_evidence)
