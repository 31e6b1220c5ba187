"""Assets of the group `recommender`: baselines, networks, their evaluation, the report."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl

from curec_assets.core import materialize
from curec_assets.display.tables import markdown_table
from curec_assets.explanation.facts import Catalogue
from curec_assets.recommender.describe import (
    describe_baselines,
    describe_evaluation,
    describe_recommender,
)
from curec_assets.recommender.outputs import held_out_outputs, require_made_from
from curec_assets.settings import Settings
from resources.compute.accelerator import Accelerator
from resources.generation.journaling import journaled_generator
from resources.generation.protocol import GeneratorFactory
from resources.models.base_models import LanguageModel
from resources.storage.model_store import ModelStore
from resources.storage.warehouse import Warehouse


@dg.asset(
    group_name="recommender",
    kinds={"scikitlearn", "numpy"},
    owners=["team:curec"],
    pool="warehouse",
    code_version="1",
    deps=["event_splits", "items"],
)
def baseline_recommenders(
    context: dg.AssetExecutionContext,
    settings: Settings,
    warehouse: Warehouse,
    model_store: ModelStore,
) -> dg.MaterializeResult[None]:
    """Popularity, item mean, EASE, and a logistic regression on running statistics.

    EASE is also the retriever of the two-stage recommender.
    """
    seed = settings.resolve().seed

    def build(folder: Path, _workspace: Path) -> Mapping[str, Any]:
        from curec_assets.recommender.baselines import build_baselines

        events, items = warehouse.read("event_splits"), warehouse.read("items")
        return build_baselines(folder, events, items, seed=seed, log=context.log.info)

    return materialize.artifact(
        context,
        model_store,
        config={"seed": seed},
        inputs=_versions(warehouse, "event_splits", "items"),
        build=build,
        describe=describe_baselines,
    )


@dg.asset(
    group_name="recommender",
    kinds={"torch"},
    owners=["team:curec"],
    pool="gpu",
    code_version="2",
    deps=[
        "event_splits",
        "histories",
        "items",
        "item_embeddings",
        "reason_embeddings",
        "baseline_recommenders",
    ],
)
def recommender(
    context: dg.AssetExecutionContext,
    settings: Settings,
    warehouse: Warehouse,
    model_store: ModelStore,
    accelerator: Accelerator,
) -> dg.MaterializeResult[None]:
    """DIN with gated text adaptors, from scratch: ids; + item text; + reasons; several seeds each.

    Holds every network, its predictions for validation and test events, and its test ranks.
    """
    profile = settings.resolve()
    tables = ("event_splits", "histories", "items", "item_embeddings", "reason_embeddings")
    baselines = model_store.current("baseline_recommenders")
    require_made_from(baselines.manifest, _versions(warehouse, "event_splits", "items"))

    def build(folder: Path, _workspace: Path) -> Mapping[str, Any]:
        from curec_assets.recommender.build import Inputs, build_recommender
        from curec_assets.retrieval.item_scorers import Retrievers

        return build_recommender(
            folder,
            Inputs(*(warehouse.read(table) for table in tables)),
            Retrievers.load(baselines.path),
            settings=profile.recommender,
            seed=profile.seed,
            device=accelerator.resolve().device,
            log=context.log.info,
        )

    # What is recommended to whom, and how finely intervals are drawn, is not part of the model.
    elsewhere = {"top_k", "recommended_users", "bootstrap_samples"}
    config = {k: v for k, v in profile.recommender.config().items() if k not in elsewhere}
    return materialize.artifact(
        context,
        model_store,
        config={"recommender": config, "seed": profile.seed},
        inputs={
            **_versions(warehouse, *tables),
            "baseline_recommenders": baselines.manifest.data_version,
        },
        build=build,
        describe=describe_recommender,
    )


@dg.asset(
    group_name="recommender",
    kinds={"duckdb", "polars"},
    owners=["team:curec"],
    pool="warehouse",
    code_version="1",
    deps=["baseline_recommenders", "recommender", "event_splits", "reason_embeddings"],
)
def recommender_evaluation(
    context: dg.AssetExecutionContext,
    settings: Settings,
    warehouse: Warehouse,
    model_store: ModelStore,
) -> dg.MaterializeResult[None]:
    """Every recommender, metric and slice of the test events, with paired bootstrap intervals."""
    profile = settings.resolve()
    baselines = model_store.current("baseline_recommenders")
    trained = model_store.current("recommender")
    versions = _versions(warehouse, "event_splits", "reason_embeddings")
    models = {"baseline_recommenders": baselines.manifest.data_version}
    require_made_from(trained.manifest, {**versions, **models})

    def build() -> pl.DataFrame:
        from curec_assets.evaluation.protocol import evaluate, sliced_events

        predictions, ranks = held_out_outputs(baselines.path, trained.path)
        return evaluate(
            sliced_events(
                warehouse.read("event_splits"), warehouse.read("reason_embeddings", ["event_id"])
            ),
            predictions,
            ranks,
            samples=profile.recommender.bootstrap_samples,
            seed=profile.seed,
        )

    return materialize.table(
        context,
        warehouse,
        key=["recommender", "slice", "metric"],
        config={
            "bootstrap_samples": profile.recommender.bootstrap_samples,
            "seed": profile.seed,
        },
        inputs={**versions, **models, "recommender": trained.manifest.data_version},
        build=build,
        describe=describe_evaluation,
    )


@dg.asset(
    group_name="recommender",
    kinds={"torch", "huggingface", "duckdb"},
    owners=["team:curec"],
    pool="gpu",
    code_version="2",
    deps=[
        "interactions",
        "items",
        "event_splits",
        "item_embeddings",
        "baseline_recommenders",
        "recommender",
        "reason_policy",
        "recommendation_reasons",
    ],
)
def recommendations(
    context: dg.AssetExecutionContext,
    settings: Settings,
    warehouse: Warehouse,
    model_store: ModelStore,
    language_model: LanguageModel,
    generator_factory: dg.ResourceParam[GeneratorFactory],
    accelerator: Accelerator,
) -> dg.MaterializeResult[None]:
    """What the latest active users are recommended now, each item with its reason."""
    profile = settings.resolve()
    tables = ("interactions", "items", "event_splits", "item_embeddings", "recommendation_reasons")
    models = {
        name: model_store.current(name)
        for name in ("baseline_recommenders", "recommender", "reason_policy")
    }
    chosen = profile.recommender

    def build(workspace: Path) -> pl.DataFrame:
        from curec_assets.recommender.recommend import recommend
        from curec_assets.recommender.shown_reasons import (
            latest_notes,
            requests_for,
            users_to_serve,
            with_reasons,
        )

        interactions, items = warehouse.read("interactions"), warehouse.read("items")
        shown = recommend(
            users_to_serve(interactions, chosen.recommended_users),
            interactions=interactions,
            items=items,
            item_embeddings=warehouse.read("item_embeddings"),
            baseline_folder=models["baseline_recommenders"].path,
            recommender_folder=models["recommender"].path,
            candidates=chosen.candidates,
            top_k=chosen.top_k,
            device=accelerator.resolve().device,
        )
        catalogue = Catalogue(items)
        notes = latest_notes(warehouse.read("recommendation_reasons"))
        requests = requests_for(
            shown, interactions, warehouse.read("event_splits"), catalogue, notes, profile
        )
        model = profile.language_model
        base = language_model.prepare(model.base, allow_code_of=model.allow_code_of)
        policy = models["reason_policy"]
        with journaled_generator(
            generator_factory,
            base.path,
            policy.path / "adapter",
            profile.generator_options(),
            workspace=workspace,
            identity=policy.manifest.data_version,
        ) as writer:
            return with_reasons(
                shown, requests, writer, catalogue, profile, policy.manifest.fingerprint
            )

    fingerprint = models["reason_policy"].manifest.fingerprint
    with model_store.unfinished("recommendations", fingerprint) as workspace:
        return materialize.table(
            context,
            warehouse,
            key=["user_id", "rank"],
            config={
                "users": chosen.recommended_users,
                "candidates": chosen.candidates,
                "top_k": chosen.top_k,
                "evidence": profile.evidence.config(),
                "max_new_tokens": profile.language_model.max_new_tokens,
                "max_prompt_tokens": profile.language_model.max_prompt_tokens,
                "temperature": profile.language_model.temperature,
                "max_regenerations": profile.reasons.max_regenerations,
                "max_history": profile.data.max_history,
                "seed": profile.seed,
            },
            inputs={
                **_versions(warehouse, *tables),
                **{name: stored.manifest.data_version for name, stored in models.items()},
                "base_model": language_model.revision(profile.language_model.base),
            },
            build=lambda: build(workspace),
            describe=lambda rows: {
                "samples": dg.MetadataValue.md(
                    markdown_table(
                        rows.select("user_id", "rank", "title", "score", "verdict", "reason"),
                        limit=15,
                    )
                ),
                "composer_share": float((rows["source"] == "composer").sum()) / max(rows.height, 1),
            },
        )


def _versions(warehouse: Warehouse, *tables: str) -> dict[str, str]:
    return {table: warehouse.data_version(table) for table in tables}
