"""The asset of the group `policy`: the adapter after reinforcement learning."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl

from curec_assets.core import materialize
from curec_assets.core.provenance import content_hash
from curec_assets.display.charts import line_chart
from curec_assets.display.tables import markdown_table
from curec_assets.explanation.facts import Catalogue, facts_by_event, facts_fingerprint
from curec_assets.explanation.grounding import GroundingChecker
from curec_assets.explanation.selection import divide_policy_fold
from curec_assets.policy.metrics import step_means
from curec_assets.settings import Settings
from resources.compute.accelerator import Accelerator
from resources.models.base_models import LanguageModel
from resources.models.text_encoder import TextEncoder
from resources.storage.model_store import Artifact, ModelStore
from resources.storage.warehouse import Warehouse


@dg.asset(
    group_name="policy",
    kinds={"torch", "huggingface"},
    owners=["team:curec"],
    pool="gpu",
    code_version="2",
    deps=[
        "aligned_llm",
        "reward_model",
        "event_splits",
        "collaborative_evidence",
        "histories",
        "items",
    ],
)
def reason_policy(
    context: dg.AssetExecutionContext,
    settings: Settings,
    warehouse: Warehouse,
    model_store: ModelStore,
    language_model: LanguageModel,
    text_encoder: TextEncoder,
    accelerator: Accelerator,
) -> dg.MaterializeResult[None]:
    """The aligned adapter after GRPO on policy-fold events (TRL `GRPOTrainer`).

    The reward is what the reason adds to the reward model's knowledge of the outcome, less the part
    that is not about the user, plus form and groundedness.
    """
    from curec_assets.reward.gate import require_gate

    profile = settings.resolve()
    aligned = model_store.current("aligned_llm")
    reward = model_store.current("reward_model")
    require_gate(reward.manifest, profile.reward.gate_blocks)
    splits, evidence = warehouse.read("event_splits"), warehouse.read("collaborative_evidence")
    fold = divide_policy_fold(splits, evidence, profile)
    order = pl.DataFrame({"event_id": fold.reinforcement})
    events = order.join(
        splits.select("event_id", "user_id", "item_id", "liked"),
        on="event_id",
        maintain_order="left",
    )
    histories = warehouse.read("histories", ["event_id", "item_ids", "likes"]).filter(
        pl.col("event_id").is_in(list(fold.reinforcement))
    )
    catalogue = Catalogue(warehouse.read("items"))
    facts = facts_by_event(events, evidence, histories, catalogue, profile.evidence)

    def build(folder: Path, workspace: Path) -> Mapping[str, Any]:
        from curec_assets.policy.events import policy_events
        from curec_assets.policy.grpo import optimise
        from curec_assets.policy.rewards import ComposedReward
        from curec_assets.reward.scoring import RewardScorer

        place = accelerator.resolve()
        scorer = RewardScorer.load(reward, text_encoder, device=place.device)
        model = profile.language_model
        base = language_model.prepare(model.base, allow_code_of=model.allow_code_of)
        return optimise(
            policy_events(events, histories, facts),
            ComposedReward(scorer, GroundingChecker(catalogue), profile.policy),
            base.path,
            aligned.path / "adapter",
            profile.policy,
            profile.language_model,
            seed=profile.seed,
            place=place,
            workspace=workspace,
            output=folder,
            server=profile.server.endpoint(),
        )

    return materialize.artifact(
        context,
        model_store,
        config={
            "policy": {k: v for k, v in profile.policy.config().items() if k != "vllm_memory"},
            "max_new_tokens": profile.language_model.max_new_tokens,
            "max_prompt_tokens": profile.language_model.max_prompt_tokens,
            "seed": profile.seed,
        },
        inputs={
            "aligned_llm": aligned.manifest.data_version,
            "reward_model": reward.manifest.data_version,
            "base_model": language_model.revision(profile.language_model.base),
            "events": content_hash(events, key=["event_id"]),
            "histories": content_hash(histories, key=["event_id"]),
            "facts": facts_fingerprint(facts),
        },
        build=build,
        describe=_describe,
    )


def _describe(stored: Artifact) -> Mapping[str, Any]:
    means = step_means(stored.manifest.metrics)
    picture = line_chart(
        {name: means[name] for name in ("reward", "gain", "generic", "groundedness")},
        title="GRPO: mean reward and unweighted terms",
        x_label="optimiser step",
        y_label="reward",
    )
    terms = pl.DataFrame(
        {
            "term": list(means),
            "first step": [round(float(values[0]), 4) for values in means.values()],
            "last step": [round(float(values[-1]), 4) for values in means.values()],
        }
    )
    return {
        "reward_curve": dg.MetadataValue.md(picture),
        "terms": dg.MetadataValue.md(markdown_table(terms)),
        "first_reward": means["reward"][0],
        "last_reward": means["reward"][-1],
        "history_items_left_out": stored.manifest.metrics["history_items_left_out"],
    }
