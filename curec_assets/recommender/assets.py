"""Assets of the group `recommender`: baselines, networks, their evaluation, recommendations."""

from collections.abc import Mapping
from typing import Any

import polars as pl

from curec_assets.core.inputs import Inputs
from curec_assets.core.recipe import WAITING, artifact, table
from curec_assets.display.tables import markdown_table
from curec_assets.explanation.facts import Catalogue
from curec_assets.explanation.writer import writer_of
from curec_assets.reasons.lasting import waiting
from curec_assets.recommender.describe import (
    describe_baselines,
    describe_evaluation,
    describe_ranking,
    describe_recommender,
    tracked_evaluation,
)
from curec_assets.recommender.outputs import held_out_outputs, require_made_from

_GROUP = "recommender"
_NETWORK_SETTINGS = (
    "recommender.dim",
    "recommender.epochs",
    "recommender.learning_rate",
    "recommender.batch_size",
    "recommender.experts",
    "recommender.seeds",
    "recommender.max_trees",
    "recommender.history_length",
    "recommender.weight_decay",
    "recommender.dropout",
    "recommender.id_dropout",
    "recommender.reason_components",
    "recommender.reason_penalty",
    "recommender.mlp_units",
    "recommender.mlp_epochs",
    "recommender.mlp_learning_rate",
    "recommender.mlp_penalty",
    "recommender.smoothing",
    "recommender.recent_half_life",
)


@artifact(
    group=_GROUP,
    kinds={"scikitlearn", "numpy"},
    tables=("serving_snapshot", "items", "item_embeddings"),
    settings=(
        "recommender.ease_l2",
        "recommender.ease_items",
        "recommender.smoothing",
        "recommender.recent_half_life",
        "ranking.ranked_events",
        "ranking.neighbours",
        "ranking.text_weights",
        "seed",
    ),
    describe=lambda stored, _: describe_baselines(stored),
)
def baseline_recommenders(inputs: Inputs) -> Mapping[str, Any]:
    """The peers: popularity, item mean, item k-NN, EASE, EASE with text, and a logistic regression
    on running statistics.
    """
    from curec_assets.recommender.baselines import build_baselines

    return build_baselines(
        inputs.output(),
        inputs.table("serving_snapshot"),
        inputs.table("items"),
        inputs.table("item_embeddings"),
        settings=inputs.settings.recommender,
        ranking=inputs.settings.ranking,
        seed=inputs.settings.seed,
        log=inputs.log,
    )


@artifact(
    group=_GROUP,
    kinds={"torch", "lightgbm", "scikitlearn"},
    tables=(
        *("serving_snapshot", "items", "item_embeddings"),
        *("serving_evidence", "reason_embeddings"),
    ),
    settings=(
        *_NETWORK_SETTINGS,
        "evidence.leaves",
        "evidence.learning_rate",
        "evidence.min_leaf_events",
        "evidence.logistic_penalty",
        "seed",
    ),
    resources=("accelerator",),
    describe=lambda stored, _: describe_recommender(stored),
)
def recommender(inputs: Inputs) -> Mapping[str, Any]:
    """Every part alone (ids, + text, numbers, MLP, best peer), reasons on top, and the blend.

    Holds what is needed to score candidates, and predictions for validation and test events.
    """
    from curec_assets.recommender.build import build_recommender, event_rows
    from curec_assets.recommender.dataset import EventTables, TrainingData
    from curec_assets.recommender.reason_stage import Reasons

    profile = inputs.settings
    tables = EventTables.make(
        profile.recommender, *map(inputs.table, ("serving_snapshot", "items", "item_embeddings"))
    )
    rows, probability = event_rows(tables, inputs.table("serving_evidence"), profile.recommender)
    return build_recommender(
        inputs.output(),
        TrainingData.make(tables, profile.recommender),
        rows,
        probability,
        Reasons.of(tables.events, inputs.table("reason_embeddings")),
        settings=profile.recommender,
        evidence_settings=profile.evidence,
        seed=profile.seed,
        device=inputs.resource("accelerator").resolve().device,
        log=inputs.log,
    )


@artifact(
    group=_GROUP,
    kinds={"lightgbm", "numpy"},
    tables=("serving_snapshot", "items", "item_embeddings"),
    settings=("ranking", "seed"),
    describe=lambda stored, _: describe_ranking(stored),
)
def recommender_ranking(inputs: Inputs) -> Mapping[str, Any]:
    """Two stages: several retrievers propose, a learned ranker orders what they proposed.

    The ranker learned from likes of training time. Also where liked held-out events stand then.
    """
    from curec_assets.recommender.ranking import build_ranking

    return build_ranking(
        inputs.output(),
        inputs.table("serving_snapshot"),
        inputs.table("items"),
        inputs.table("item_embeddings"),
        settings=inputs.settings.ranking,
        seed=inputs.settings.seed,
        log=inputs.log,
    )


def _outputs_are_of_these_events(inputs: Inputs) -> None:
    require_made_from(
        inputs.artifact("recommender").manifest,
        inputs.versions("serving_snapshot", "reason_embeddings"),
    )
    require_made_from(
        inputs.artifact("baseline_recommenders").manifest, inputs.versions("serving_snapshot")
    )
    _ranking_is_of_these_events(inputs)


def _ranking_is_of_these_events(inputs: Inputs) -> None:
    require_made_from(
        inputs.artifact("recommender_ranking").manifest, inputs.versions("serving_snapshot")
    )


@table(
    group=_GROUP,
    kinds={"duckdb", "polars"},
    key=["recommender", "slice", "metric"],
    tables=("serving_snapshot", "reason_embeddings"),
    artifacts=("baseline_recommenders", "recommender", "recommender_ranking"),
    settings=("recommender.bootstrap_samples", "seed"),
    guard=_outputs_are_of_these_events,
    describe=lambda rows, _: describe_evaluation(rows),
    tracked=tracked_evaluation,
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
        sliced_events(inputs.table("serving_snapshot"), covered),
        predictions,
        ranks,
        samples=inputs.settings.recommender.bootstrap_samples,
        seed=inputs.settings.seed,
    )


def _models_belong_together(inputs: Inputs) -> None:
    """One snapshot of the recommender and the ranker; one evidence model in fitting and serving."""
    made_from = inputs.artifact("recommender").manifest.inputs
    require_made_from(
        inputs.artifact("recommender_ranking").manifest,
        {"serving_snapshot": made_from["serving_snapshot"]},
    )
    require_made_from(inputs.artifact("recommender").manifest, inputs.versions("serving_evidence"))
    require_made_from(
        inputs.manifest("serving_evidence"),
        {"evidence_model": inputs.artifact("evidence_model").manifest.data_version},
    )


def _describe_recommendations(rows: pl.DataFrame, _: Inputs) -> Mapping[str, Any]:
    viewer = pl.col("user_id").rank("dense").alias("viewer")  # no id: metadata outlives the rows
    shown = rows.select(viewer, "rank", "title", "score", "level", "reason")
    return {
        "samples": markdown_table(shown, limit=15),
        "composer_share": float((rows["source"] == "composer").sum()) / max(rows.height, 1),
        "waiting": waiting(rows),
    }


@table(
    group=_GROUP,
    kinds={"torch", "huggingface", "duckdb"},
    key=["user_id", "rank"],
    tables=(
        *("interactions", "items", "item_embeddings"),
        *("recommendation_reasons", "draft_reasons", "serving_evidence"),
    ),
    artifacts=("evidence_model", "recommender", "recommender_ranking", "reason_policy"),
    settings=(
        "recommender.recommended_users",
        "recommender.top_k",
        "recommender.considered",
        "recommender.least_probability",
        "evidence",
        "explanation",
        "language_model.max_new_tokens",
        "language_model.max_prompt_tokens",
        "server.model",
        "language_model.temperature",
        "reasons.max_regenerations",
        "reasons.max_level_gap",
        "recommender.renewed_after_days",
        "reasons.budget",
        "data.max_history",
        "seed",
    ),
    resources=("language_model", "generator_factory", "accelerator"),
    guard=_models_belong_together,
    lasting=("interactions", "items", "item_embeddings"),
    describe=_describe_recommendations,
)
def recommendations(inputs: Inputs) -> tuple[pl.DataFrame, Mapping[str, Any]]:
    """What the latest active users are recommended now, each item with its reason.

    They stay while a user does nothing, for some days. Of those that new events renew, the policy
    writes some reasons in each run, the first items' first, and the composer the rest meanwhile.
    """
    from curec_assets.evidence.crossfit import load_final
    from curec_assets.evidence.numbers import EvidenceNumbers
    from curec_assets.reasons.judged import with_reasons
    from curec_assets.reasons.lasting import Allowance
    from curec_assets.recommender.recommend import recommend
    from curec_assets.recommender.served import Known, Served
    from curec_assets.recommender.shown_reasons import (
        judged_now,
        moment,
        notes_now,
        users_to_serve,
    )
    from curec_assets.recommender.still_shown import still_shown, with_grounds
    from curec_assets.reward.drafting import draft_cuts

    profile, chosen = inputs.settings, inputs.settings.recommender
    interactions, items = inputs.table("interactions"), inputs.table("items")
    users, now = users_to_serve(interactions, chosen.recommended_users), moment(interactions)
    stay = still_shown(
        inputs.earlier,
        interactions,
        items,
        users=users,
        now=now,
        days=chosen.renewed_after_days,
        max_history=profile.data.max_history,
    )
    if stay is not None:
        users = [user for user in users if user not in set(stay["user_id"])]
        inputs.log(f"the recommendations of {stay['user_id'].n_unique()} users stay")
        if not users:
            return stay, {WAITING: 0}
    item_embeddings = inputs.table("item_embeddings")
    numbers = EvidenceNumbers(
        interactions, items, item_embeddings, profile.evidence, profile.seed, fits=inputs.fits()
    )
    evidence_model = load_final(inputs.artifact("evidence_model").path)
    served = Served.load(inputs.artifact("recommender").path, evidence_model)
    known = Known(interactions, items, item_embeddings, numbers)
    device = inputs.resource("accelerator").resolve().device
    shown = recommend(
        users,
        interactions=interactions,
        items=items,
        item_embeddings=item_embeddings,
        ranking_folder=inputs.artifact("recommender_ranking").path,
        top_k=chosen.top_k,
        considered=chosen.considered,
        least_probability=chosen.least_probability,
        probabilities=lambda rows: served.probabilities(rows, known, device),
    )
    shown = with_grounds(shown, interactions, items, profile.data.max_history).with_columns(
        as_of=pl.lit(now, dtype=pl.Int64)
    )
    catalogue = Catalogue(items)
    evidence = judged_now(shown, interactions, numbers, evidence_model, profile.evidence)
    stored = inputs.table("recommendation_reasons", ["event_id", "user_id", "timestamp", "note"])
    notes = notes_now(shown["user_id"].unique(), interactions, stored, catalogue, profile)
    policy = inputs.artifact("reason_policy")
    with writer_of(inputs, "reason_policy") as generator:
        allowance = Allowance(
            profile.reasons.budget,
            order=shown.with_row_index("row").sort("rank", "row")["row"].to_list(),
            is_kept=generator.keeps,
        )
        written = with_reasons(
            shown,
            evidence,
            [notes[user] for user in shown["user_id"]],
            generator,
            catalogue,
            profile,
            policy.manifest.fingerprint,
            draft_cuts(inputs.table("draft_reasons")),
            allowance if inputs.earlier is not None else None,
        )
    found = written if stay is None else pl.concat([stay.select(written.columns), written])
    return found, {WAITING: waiting(found)}


RECIPES = (
    baseline_recommenders,
    recommender,
    recommender_ranking,
    recommender_evaluation,
    recommendations,
)
