"""Assets of the group `alignment`: the corpus of chat examples and the model fitted on it."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from curec_assets.core.inputs import Inputs
from curec_assets.core.recipe import artifact, table
from curec_assets.display.charts import line_chart
from curec_assets.settings import Profile
from resources.storage.model_store import Artifact

_SIZES = ("reason_examples", "verdict_examples", "note_examples")


def _corpus_settings(profile: Profile) -> tuple[str, ...]:
    teacher = (
        "teacher.model",
        "teacher.samples",
        "teacher.temperature",
        "explanation.wanted_words",
        "explanation.max_words",
        "language_model.max_new_tokens",
    )
    return (
        *(f"alignment.{size}" for size in _SIZES),
        "explanation.attributes",
        "explanation.cited_for",
        "explanation.cited_against",
        "explanation.note_attributes",
        "explanation.note_likes",
        "explanation.note_dislikes",
        "explanation.note_prior",
        "explanation.note_cuts",
        "data.max_history",
        "seed",
        *(teacher if profile.teacher.url else ()),
    )


def _describe_corpus(rows: pl.DataFrame, _: Inputs) -> Mapping[str, Any]:
    samples = rows.group_by("task", maintain_order=True).head(2)
    targets = rows.filter(pl.col("task") == "reason").group_by("source").len("targets")
    refused = rows["refused"].explode(empty_as_null=True).drop_nulls().value_counts()
    return {
        "reason_targets": dict(targets.sort("source").iter_rows()),
        "teacher_refused": dict(refused.sort("refused").iter_rows()),
        "tasks": rows.group_by("task").len("examples").sort("task"),
        "samples": samples.select("task", "user", "completion"),
    }


@table(
    group="alignment",
    kinds={"duckdb", "polars"},
    key=["event_id"],
    tables=("event_splits", "event_evidence", "items"),
    settings=_corpus_settings,
    resources=("language_model", "generator_factory"),
    describe=_describe_corpus,
    keep_workspace=True,  # a larger corpus asks the teacher only for what is new
)
def alignment_corpus(inputs: Inputs) -> pl.DataFrame:
    """Chat examples of the tasks verdict, preference note and reason, with grounded targets.

    From policy-fold training events. The level of a target is the evidence model's; it is in no
    prompt, and neither is the event's own label, but in notes that were revised after it.
    Targets come from the grounded composer, those of reasons from a teacher model if one is set.
    """
    from curec_assets.alignment.corpus import build_corpus

    profile = inputs.settings
    splits, evidence, items = map(inputs.table, ("event_splits", "event_evidence", "items"))
    tables = (splits, evidence, items, profile)
    if not profile.teacher.url:
        return build_corpus(*tables)

    from curec_assets.alignment.teacher import Teacher, teacher_options
    from curec_assets.explanation.grounding import GroundingChecker
    from resources.generation.journal import journaled_generator

    with journaled_generator(
        inputs.resource("generator_factory"),
        inputs.base_model(),
        None,
        teacher_options(profile),
        workspace=inputs.workspace("teacher"),
        identity=f"teacher {profile.teacher.model}",
    ) as generator:
        teacher = Teacher(generator, GroundingChecker(profile.explanation.max_words), profile)
        return build_corpus(*tables, teacher.teach)


def _describe_model(stored: Artifact, _: Inputs) -> Mapping[str, Any]:
    metrics = stored.manifest.metrics
    return {
        "loss": line_chart(
            {"completion cross-entropy": metrics["loss"]},
            title="Alignment loss",
            x_label="optimiser step",
            y_label="nats per token",
        ),
        **_level_error(metrics.get("level_error", ())),
        "first_loss": metrics["loss"][0],
        "last_loss": metrics["loss"][-1],
        "examples": metrics["examples"],
        "examples_left_out": metrics["examples_left_out"],
        "base_model": stored.manifest.inputs["base_model"],
    }


def _level_error(squared: Sequence[float | None]) -> Mapping[str, Any]:
    """Nothing where no step had a level, or none was looked at."""
    known = [math.sqrt(error) for error in squared if error is not None]
    if not known:
        return {}
    return {
        "level_error": line_chart(
            {"root of the mean squared error": known},
            title="Error of the expected level",
            x_label="optimiser step",
            y_label="levels",
        ),
        "last_level_error": known[-1],
    }


def _training_settings(profile: Profile) -> tuple[str, ...]:
    """All of the section but the sizes of the corpus, which is itself an input."""
    fields = type(profile.alignment).model_fields
    return (*(f"alignment.{name}" for name in fields if name not in _SIZES), "seed")


@artifact(
    group="alignment",
    kinds={"torch", "huggingface"},
    tables=("alignment_corpus",),
    settings=_training_settings,
    resources=("language_model", "accelerator"),
    describe=_describe_model,
)
def aligned_llm(inputs: Inputs) -> Mapping[str, Any]:
    """LoRA adapter that teaches the base model the three tasks (TRL `SFTTrainer`)."""
    from curec_assets.alignment.sft import fine_tune

    with inputs.tracking.environment():
        return fine_tune(
            inputs.table("alignment_corpus"),
            inputs.base_model(),
            inputs.settings.alignment,
            seed=inputs.settings.seed,
            accelerator=inputs.resource("accelerator").resolve(),
            workspace=inputs.workspace(),
            output=inputs.output(),
            tracking=inputs.tracking,
        )


RECIPES = (alignment_corpus, aligned_llm)
