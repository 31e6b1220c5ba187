"""Assets of the group `recommender`: baselines, networks, their evaluation, recommendations."""

from collections.abc import Mapping
from typing import Any

import polars as pl

from curec_assets.core.inputs import Inputs
from curec_assets.core.recipe import artifact, table
from curec_assets.display.tables import markdown_table
from curec_assets.explanation.facts import Catalogue
from curec_assets.recommender.describe import (
    describe_baselines,
    describe_evaluation,
    describe_ranking,
    describe_recommender,
)
from curec_assets.recommender.outputs import held_out_outputs, require_made_from
from resources.generation.journal import journaled_generator

_GROUP = "recommender"
_NETWORK_SETTINGS = (
    "recommender.dim",
    "recommender.epochs",
    "recommender.learning_rate",
    "recommender.batch_size",
    "recommender.experts",
    "recommender.seeds",
    "recommender.history_length",
    "recommender.weight_decay",
    "recommender.dropout",
    "recommender.id_dropout",
    "recommender.reason_dropout",
    "recommender.smoothing",
    "recommender.recent_half_life",
)
_TRAINED_ON = ("event_splits", "histories", "items", "item_embeddings", "reason_embeddings")


@artifact(
    group=_GROUP,
    kinds={"scikitlearn", "numpy"},
    tables=("event_splits", "items"),
    settings=(
        "recommender.ease_l2",
        "recommender.ease_items",
        "recommender.smoothing",
        "recommender.recent_half_life",
        "recommender.ranked_events",
        "seed",
    ),
    describe=lambda stored, _: describe_baselines(stored),
)
def baseline_recommenders(inputs: Inputs) -> Mapping[str, Any]:
    """Popularity, item mean, EASE, and a logistic regression on running statistics.

    EASE is also the retriever of the two-stage recommender.
    """
    from curec_assets.recommender.baselines import build_baselines

    return build_baselines(
        inputs.output(),
        inputs.table("event_splits"),
        inputs.table("items"),
        settings=inputs.settings.recommender,
        seed=inputs.settings.seed,
        log=inputs.log,
    )


@artifact(
    group=_GROUP,
    kinds={"torch"},
    tables=_TRAINED_ON,
    settings=(*_NETWORK_SETTINGS, "seed"),
    resources=("accelerator",),
    describe=lambda stored, _: describe_recommender(stored),
)
def recommender(inputs: Inputs) -> Mapping[str, Any]:
    """DIN with gated text adaptors, from scratch: ids; + item text; + reasons; several seeds each.

    Holds every network, and its predictions for validation and test events.
    """
    from curec_assets.recommender.build import build_recommender
    from curec_assets.recommender.dataset import TrainingData, TrainingTables

    profile = inputs.settings
    tables = TrainingTables(*(inputs.table(name) for name in _TRAINED_ON))
    return build_recommender(
        inputs.output(),
        TrainingData.make(tables, profile.recommender),
        settings=profile.recommender,
        seed=profile.seed,
        device=inputs.resource("accelerator").resolve().device,
        log=inputs.log,
    )


def _models_are_of_these_events(inputs: Inputs) -> None:
    require_made_from(
        inputs.artifact("baseline_recommenders").manifest, inputs.versions("event_splits", "items")
    )
    require_made_from(
        inputs.artifact("recommender").manifest, inputs.versions("event_splits", "item_embeddings")
    )


@artifact(
    group=_GROUP,
    kinds={"torch", "numpy"},
    tables=("event_splits", "histories", "items", "item_embeddings"),
    artifacts=("baseline_recommenders", "recommender"),
    settings=(
        "recommender.candidates",
        "recommender.retriever_weights",
        "recommender.ranked_events",
        "seed",
    ),
    resources=("accelerator",),
    guard=_models_are_of_these_events,
    describe=lambda stored, _: describe_ranking(stored),
)
def recommender_ranking(inputs: Inputs) -> Mapping[str, Any]:
    """Two stages together: EASE proposes, each network orders; where liked test events then stand.

    The weight of EASE's score beside the network's is chosen on validation.
    """
    from curec_assets.recommender.dataset import EventTables
    from curec_assets.recommender.ranker import Ranker
    from curec_assets.recommender.ranking import build_ranking
    from curec_assets.retrieval.item_scorers import ItemScorers

    return build_ranking(
        inputs.output(),
        EventTables(
            events=inputs.table("event_splits"),
            histories=inputs.table("histories"),
            items=inputs.table("items"),
            item_embeddings=inputs.table("item_embeddings"),
        ),
        ItemScorers.load(inputs.artifact("baseline_recommenders").path),
        Ranker.load(inputs.artifact("recommender").path),
        settings=inputs.settings.recommender,
        seed=inputs.settings.seed,
        device=inputs.resource("accelerator").resolve().device,
        log=inputs.log,
    )


def _outputs_are_of_these_events(inputs: Inputs) -> None:
    require_made_from(
        inputs.artifact("recommender").manifest,
        inputs.versions("event_splits", "reason_embeddings"),
    )
    _ranking_is_of_these_models(inputs)


def _ranking_is_of_these_models(inputs: Inputs) -> None:
    require_made_from(
        inputs.artifact("recommender_ranking").manifest,
        inputs.versions("baseline_recommenders", "recommender"),
    )


@table(
    group=_GROUP,
    kinds={"duckdb", "polars"},
    key=["recommender", "slice", "metric"],
    tables=("event_splits", "reason_embeddings"),
    artifacts=("baseline_recommenders", "recommender", "recommender_ranking"),
    settings=("recommender.bootstrap_samples", "seed"),
    guard=_outputs_are_of_these_events,
    describe=lambda rows, _: describe_evaluation(rows),
)
def recommender_evaluation(inputs: Inputs) -> pl.DataFrame:
    """Every recommender, metric and slice of the test events, with paired bootstrap intervals."""
    from curec_assets.evaluation.protocol import evaluate, sliced_events

    predictions, ranks = held_out_outputs(
        inputs.artifact("baseline_recommenders").path,
        inputs.artifact("recommender").path,
        inputs.artifact("recommender_ranking").path,
    )
    covered = inputs.table("reason_embeddings", ["event_id"])
    return evaluate(
        sliced_events(inputs.table("event_splits"), covered),
        predictions,
        ranks,
        samples=inputs.settings.recommender.bootstrap_samples,
        seed=inputs.settings.seed,
    )


def _describe_recommendations(rows: pl.DataFrame, _: Inputs) -> Mapping[str, Any]:
    shown = rows.select("user_id", "rank", "title", "score", "level", "reason")
    return {
        "samples": markdown_table(shown, limit=15),
        "composer_share": float((rows["source"] == "composer").sum()) / max(rows.height, 1),
    }


@table(
    group=_GROUP,
    kinds={"torch", "huggingface", "duckdb"},
    key=["user_id", "rank"],
    tables=("interactions", "items", "item_embeddings", "recommendation_reasons"),
    artifacts=(
        "evidence_model",
        "baseline_recommenders",
        "recommender",
        "recommender_ranking",
        "reason_policy",
    ),
    settings=(
        "recommender.recommended_users",
        "recommender.candidates",
        "recommender.top_k",
        "evidence",
        "explanation",
        "language_model.max_new_tokens",
        "language_model.max_prompt_tokens",
        "server.model",
        "language_model.temperature",
        "reasons.max_regenerations",
        "reasons.max_level_gap",
        "data.max_history",
        "seed",
    ),
    resources=("language_model", "generator_factory", "accelerator"),
    guard=_ranking_is_of_these_models,
    describe=_describe_recommendations,
)
def recommendations(inputs: Inputs) -> pl.DataFrame:
    """What the latest active users are recommended now, each item with its reason."""
    from curec_assets.evidence.crossfit import load_final
    from curec_assets.evidence.numbers import EvidenceNumbers
    from curec_assets.recommender.recommend import recommend
    from curec_assets.recommender.shown_reasons import (
        judged_now,
        notes_now,
        users_to_serve,
        with_reasons,
    )

    profile, chosen = inputs.settings, inputs.settings.recommender
    interactions, items = inputs.table("interactions"), inputs.table("items")
    item_embeddings = inputs.table("item_embeddings")
    shown = recommend(
        users_to_serve(interactions, chosen.recommended_users),
        interactions=interactions,
        items=items,
        item_embeddings=item_embeddings,
        baseline_folder=inputs.artifact("baseline_recommenders").path,
        recommender_folder=inputs.artifact("recommender").path,
        ranking_folder=inputs.artifact("recommender_ranking").path,
        candidates=chosen.candidates,
        top_k=chosen.top_k,
        device=inputs.resource("accelerator").resolve().device,
    )
    catalogue = Catalogue(items)
    evidence = judged_now(
        shown,
        interactions,
        EvidenceNumbers(interactions, items, item_embeddings, profile.evidence, profile.seed),
        load_final(inputs.artifact("evidence_model").path),
        profile.evidence,
    )
    stored = inputs.table("recommendation_reasons", ["event_id", "user_id", "timestamp", "note"])
    notes = notes_now(shown["user_id"].unique(), interactions, stored, catalogue, profile)
    policy = inputs.artifact("reason_policy")
    with journaled_generator(
        inputs.resource("generator_factory"),
        inputs.base_model(),
        policy.path / "adapter",
        profile.generator_options(),
        workspace=inputs.workspace(),
        identity=policy.manifest.data_version,
    ) as generator:
        return with_reasons(
            shown, evidence, notes, generator, catalogue, profile, policy.manifest.fingerprint
        )


RECIPES = (
    baseline_recommenders,
    recommender,
    recommender_ranking,
    recommender_evaluation,
    recommendations,
)
