"""Assets of the group `alignment`: the corpus of chat examples and the model fitted on it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl

from curec_assets import materialize, pictures
from curec_assets.settings import Settings
from resources.accelerator import Accelerator
from resources.language_model import LanguageModel
from resources.model_store import Artifact, ModelStore
from resources.warehouse import Warehouse


@dg.asset(
    group_name="alignment",
    kinds={"duckdb", "polars"},
    owners=["team:curec"],
    pool="warehouse",
    code_version="1",
    deps=["event_splits", "collaborative_evidence", "histories", "items"],
)
def alignment_corpus(
    context: dg.AssetExecutionContext, settings: Settings, warehouse: Warehouse
) -> dg.MaterializeResult[None]:
    """Chat examples of the tasks verdict, preference note and reason, with grounded targets.

    From policy-fold training events. A label decides the verdict of a target and is in no prompt.
    """
    profile = settings.resolve()
    upstream = ("event_splits", "collaborative_evidence", "histories", "items")

    def build() -> pl.DataFrame:
        from curec_assets.alignment.corpus import build_corpus

        return build_corpus(
            warehouse.read("event_splits"),
            warehouse.read("collaborative_evidence"),
            warehouse.read("histories"),
            warehouse.read("items"),
            profile,
        )

    sizes = ("reason_examples", "verdict_examples", "note_examples")
    return materialize.table(
        context,
        warehouse,
        key=["event_id"],
        config={
            "examples": {name: getattr(profile.alignment, name) for name in sizes},
            "max_attributes": profile.evidence.max_attributes,
            "seed": profile.seed,
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

        return fine_tune(
            warehouse.read("alignment_corpus"),
            language_model.prepare(profile.language_model.base).path,
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
    return {
        "tasks": dg.MetadataValue.md(pictures.markdown_table(tasks)),
        "samples": dg.MetadataValue.md(
            pictures.markdown_table(samples.select("task", "user", "completion"))
        ),
    }


def _describe_model(stored: Artifact) -> Mapping[str, Any]:
    metrics = stored.manifest.metrics
    picture = pictures.line_chart(
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
        "base_model": stored.manifest.inputs["base_model"],
    }
