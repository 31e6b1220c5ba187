"""Assets of the group `policy`: the adapter after reinforcement learning, and its archive."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from curec_assets.core.inputs import Inputs
from curec_assets.core.recipe import Choice, artifact
from curec_assets.datasets.histories import histories_of
from curec_assets.display.charts import line_chart
from curec_assets.explanation.facts import Catalogue, Facts, facts_by_event
from curec_assets.explanation.grounding import GroundingChecker
from curec_assets.explanation.selection import divide_policy_fold
from curec_assets.policy.archive import (
    MODELS,
    TABLES,
    members,
    require_one_generation,
    write_archive,
)
from curec_assets.policy.metrics import reward_terms, step_means
from resources.storage.model_store import Artifact


@dataclass(frozen=True)
class _Explored:
    """The events that reasons are sampled for, and all that prompts and reward are made from."""

    events: pl.DataFrame
    judged: pl.DataFrame
    """event_id, level and probability by the evidence model."""
    histories: pl.DataFrame
    facts: Mapping[str, Facts]


def _events_to_explore(inputs: Inputs) -> _Explored:
    profile = inputs.settings
    splits, evidence = inputs.table("event_splits"), inputs.table("event_evidence")
    chosen = divide_policy_fold(splits, evidence, profile).reinforcement
    events = pl.DataFrame({"event_id": chosen}, schema={"event_id": pl.String}).join(
        splits.select("event_id", "user_id", "item_id", "liked"),
        on="event_id",
        maintain_order="left",
    )
    asked = splits.join(events, on="event_id", how="semi")
    histories = histories_of(asked, splits, profile.data.max_history)
    items = inputs.table("items", ["item_id", "title", "attributes"])
    facts = facts_by_event(events, evidence, Catalogue(items), profile.explanation)
    judged = events.select("event_id").join(
        evidence.select("event_id", "level", "probability"), on="event_id", maintain_order="left"
    )
    return _Explored(events, judged, histories, facts)


def _gate_is_passed(inputs: Inputs) -> None:
    from curec_assets.reward.gate import require_gate

    reward = inputs.artifact("reward_model").manifest
    require_gate(reward, inputs.settings.reward.gate_blocks)


def _describe(stored: Artifact, _: Inputs) -> Mapping[str, Any]:
    metrics = stored.manifest.metrics
    means = step_means(metrics)

    def chart(names: Sequence[str], title: str, y_label: str) -> Any:
        return line_chart(
            {name: means[name] for name in names},
            title=title,
            x_label="optimiser step",
            y_label=y_label,
        )

    return {
        "reward_curve": chart(["reward"], "GRPO: mean reward", "reward"),
        "terms_curve": chart(
            list(reward_terms(metrics)), "GRPO: the reward's unweighted terms", "mean"
        ),
        "kl_curve": chart(["kl"], "KL to the aligned model", "nats per token"),
        "entropy_curve": chart(["entropy"], "Entropy of what is chosen", "nats per token"),
        "level_curve": chart(
            ["within_one_level"], "Samples within one level of the evidence model's", "share"
        ),
        "steps": pl.DataFrame(
            {
                "of": list(means),
                "first step": [_rounded(values[0]) for values in means.values()],
                "last step": [_rounded(values[-1]) for values in means.values()],
            },
            schema_overrides={"first step": pl.Float64, "last step": pl.Float64},
        ),
        "first_reward": means["reward"][0],
        "last_reward": means["reward"][-1],
        "facts_left_out": metrics["facts_left_out"],
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(float(value), 4)


@artifact(
    group="policy",
    kinds={"torch", "huggingface"},
    artifacts=("aligned_llm", "reward_model"),
    settings=(
        "policy",
        "explanation.wanted_words",
        "explanation.max_words",
        "explanation.wording",
        "language_model.max_new_tokens",
        "language_model.max_prompt_tokens",
        "server.model",
        "seed",
    ),
    resources=("language_model", "text_encoder", "accelerator"),
    view=Choice(
        _events_to_explore,
        tables=("event_splits", "event_evidence", "items"),
        settings=(
            "alignment.reason_examples",
            "alignment.verdict_examples",
            "alignment.note_examples",
            "explanation.attributes",
            "explanation.cited_for",
            "explanation.cited_against",
            "data.max_history",
        ),
    ),
    guard=_gate_is_passed,
    guard_settings=("reward.gate_blocks",),
    describe=_describe,
)
def reason_policy(inputs: Inputs) -> Mapping[str, Any]:
    """The aligned adapter after GRPO on policy-fold events (TRL `GRPOTrainer`).

    What a reason chooses (the facts that it cites, the level) is learned among what the grammar
    allowed; the reward is in `policy.rewards`.
    """
    from curec_assets.policy.events import policy_events
    from curec_assets.policy.grpo import optimise
    from curec_assets.policy.rewards import ComposedReward
    from curec_assets.reward.scoring import RewardScorer

    profile, explored = inputs.settings, inputs.view
    accelerator = inputs.resource("accelerator").resolve()
    scorer = RewardScorer.load(
        inputs.artifact("reward_model"), inputs.resource("text_encoder"), device=accelerator.device
    )
    checker = GroundingChecker(profile.explanation.max_words)
    with inputs.tracking.environment():
        return optimise(
            policy_events(explored.events, explored.judged, explored.histories, explored.facts),
            ComposedReward(scorer, checker, profile.policy, profile.explanation.wanted_words),
            inputs.base_model(),
            inputs.artifact("aligned_llm").path / "adapter",
            profile.policy,
            profile.language_model,
            seed=profile.seed,
            accelerator=accelerator,
            workspace=inputs.workspace(),
            output=inputs.output(),
            server=profile.server.endpoint(),
            free=profile.explanation.wording == "free",
            tracking=inputs.tracking,
        )


def _is_one_generation(inputs: Inputs) -> None:
    require_one_generation({name: inputs.manifest(name) for name in (*TABLES, *MODELS)})


def _describe_archive(stored: Artifact, _: Inputs) -> Mapping[str, Any]:
    return {
        "members": pl.DataFrame(
            [(name, *version) for name, version in members(stored.manifest).items()],
            schema=["asset", "fingerprint", "data version"],
            orient="row",
        )
    }


@artifact(
    group="policy",
    kinds={"parquet"},
    tables=TABLES,
    artifacts=MODELS,
    guard=_is_one_generation,
    lineage=True,
    describe=_describe_archive,
)
def policy_archive(inputs: Inputs) -> Mapping[str, Any]:
    """All that was made together with the policy, kept for `curec use-policy` to go back to.

    Tables as Parquet, since the next `retrain` replaces them; models by fingerprint.
    """
    write_archive(inputs.output(), ((inputs.table(name), inputs.manifest(name)) for name in TABLES))
    return {"events": inputs.manifest("training_snapshot").row_count}


RECIPES = (reason_policy, policy_archive)
