"""Assets of the group `alignment`: the corpus of chat examples and the model fitted on it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl

from curec_assets.core import materialize
from curec_assets.display.charts import line_chart
from curec_assets.display.tables import markdown_table
from curec_assets.explanation.facts import Catalogue
from curec_assets.explanation.grounding import GroundingChecker
from curec_assets.settings import Settings
from resources.compute.accelerator import Accelerator
from resources.generation.journal import Journal, JournaledGenerator
from resources.generation.protocol import GeneratorFactory
from resources.models.base_models import LanguageModel
from resources.storage.model_store import Artifact, ModelStore
from resources.storage.warehouse import Warehouse


@dg.asset(
    group_name="alignment",
    kinds={"duckdb", "polars"},
    owners=["team:curec"],
    pool="warehouse",
    code_version="2",
    deps=["event_splits", "collaborative_evidence", "histories", "items"],
)
def alignment_corpus(
    context: dg.AssetExecutionContext,
    settings: Settings,
    warehouse: Warehouse,
    model_store: ModelStore,
    language_model: LanguageModel,
    generator_factory: dg.ResourceParam[GeneratorFactory],
) -> dg.MaterializeResult[None]:
    """Chat examples of the tasks verdict, preference note and reason, with grounded targets.

    From policy-fold training events. A label decides the verdict of a target and is in no prompt.
    Targets come from the grounded composer, those of reasons from a teacher model if one is set.
    """
    profile = settings.resolve()
    upstream = ("event_splits", "collaborative_evidence", "histories", "items")

    def build() -> pl.DataFrame:
        from curec_assets.alignment.corpus import build_corpus

        splits, evidence, histories, items = map(warehouse.read, upstream)
        tables = (splits, evidence, histories, items, profile)
        if not profile.teacher.url:
            return build_corpus(*tables)
        from curec_assets.alignment.teacher import Teacher, teacher_options

        model = profile.language_model
        base = language_model.prepare(model.base, allow_code_of=model.allow_code_of)
        folder = model_store.workspace("alignment_corpus", "teacher")
        # Kept afterwards too: a larger corpus asks the teacher only for what is new.
        with (
            Journal(folder / "completions.jsonl", f"teacher {profile.teacher.model}") as journal,
            generator_factory.open(base.path, None, teacher_options(profile)) as writer,
        ):
            journaled = JournaledGenerator(writer, journal, profile.teacher.concurrency)
            teacher = Teacher(journaled, GroundingChecker(Catalogue(items)), profile)
            return build_corpus(*tables, teacher.teach)

    sizes = ("reason_examples", "verdict_examples", "note_examples")
    taught_by = {
        "model": profile.teacher.model,
        "samples": profile.teacher.samples,
        "temperature": profile.teacher.temperature,
        "max_new_tokens": profile.language_model.max_new_tokens,
    }
    return materialize.table(
        context,
        warehouse,
        key=["event_id"],
        config={
            "examples": {name: getattr(profile.alignment, name) for name in sizes},
            "max_attributes": profile.evidence.max_attributes,
            "recent_items": profile.evidence.recent_items,
            "seed": profile.seed,
            **({"teacher": taught_by} if profile.teacher.url else {}),
        },
        inputs={name: warehouse.data_version(name) for name in upstream},
        build=build,
        describe=_describe_corpus,
    )


@dg.asset(
    group_name="alignment",
    kinds={"torch", "huggingface"},
    owners=["team:curec"],
    pool="gpu",
    code_version="1",
    deps=["alignment_corpus"],
)
def aligned_llm(
    context: dg.AssetExecutionContext,
    settings: Settings,
    warehouse: Warehouse,
    model_store: ModelStore,
    language_model: LanguageModel,
    accelerator: Accelerator,
) -> dg.MaterializeResult[None]:
    """LoRA adapter that teaches the base model the three tasks (TRL `SFTTrainer`)."""
    profile = settings.resolve()

    def build(folder: Path, workspace: Path) -> Mapping[str, Any]:
        from curec_assets.alignment.sft import fine_tune

        model = profile.language_model
        base = language_model.prepare(model.base, allow_code_of=model.allow_code_of)
        return fine_tune(
            warehouse.read("alignment_corpus"),
            base.path,
            profile.alignment,
            seed=profile.seed,
            place=accelerator.resolve(),
            workspace=workspace,
            output=folder,
        )

    sizes = {"reason_examples", "verdict_examples", "note_examples"}
    return materialize.artifact(
        context,
        model_store,
        config={
            "alignment": {k: v for k, v in profile.alignment.config().items() if k not in sizes},
            "seed": profile.seed,
        },
        inputs={
            "alignment_corpus": warehouse.data_version("alignment_corpus"),
            "base_model": language_model.revision(profile.language_model.base),
        },
        build=build,
        describe=_describe_model,
    )


def _describe_corpus(rows: pl.DataFrame) -> Mapping[str, Any]:
    tasks = rows.group_by("task").len("examples").sort("task")
    samples = rows.group_by("task", maintain_order=True).head(2)
    targets = rows.filter(pl.col("task") == "reason").group_by("source").len("targets")
    refused = rows["refused"].explode(empty_as_null=True).drop_nulls().value_counts()
    return {
        "reason_targets": dict(targets.sort("source").iter_rows()),
        "teacher_refused": dict(refused.sort("refused").iter_rows()),
        "tasks": dg.MetadataValue.md(markdown_table(tasks)),
        "samples": dg.MetadataValue.md(
            markdown_table(samples.select("task", "user", "completion"))
        ),
    }


def _describe_model(stored: Artifact) -> Mapping[str, Any]:
    metrics = stored.manifest.metrics
    picture = line_chart(
        {"completion cross-entropy": metrics["loss"]},
        title="Alignment loss",
        x_label="optimiser step",
        y_label="nats per token",
    )
    return {
        "loss": dg.MetadataValue.md(picture),
        "first_loss": metrics["loss"][0],
        "last_loss": metrics["loss"][-1],
        "examples": metrics["examples"],
        "examples_left_out": metrics["examples_left_out"],
        "base_model": stored.manifest.inputs["base_model"],
    }
