"""What was measured of an exported policy, with what it shows and what it does not."""

import polars as pl

from curec_assets.display.tables import markdown_table
from curec_assets.policy.metrics import step_means
from curec_assets.reports.model_card.content import CardContent
from curec_assets.reward.gate import stored_gate


def measures_text(content: CardContent) -> str:
    """The section of the card, in Markdown."""
    parts = [_alignment(content), _reinforcement(content), _reasons(content)]
    return "\n\n".join(part for part in parts if part)


def _alignment(content: CardContent) -> str:
    aligned = content.lineage.get("aligned_llm")
    parts = []
    if aligned is not None:
        loss = aligned.metrics["loss"]
        parts.append(
            f"**Alignment.** Cross-entropy of the training batches: {loss[0]:.2f} at the first "
            f"step, {loss[-1]:.2f} at the last (nats per token). It shows that the form was "
            "learnt, not that a reason is true or helps anyone."
        )
    if content.draft_grounded is not None:
        count, share = content.draft_grounded
        parts.append(
            f"Of {count} reasons drafted once by the aligned model, {share:.0%} passed the "
            "grounding check (every claim is a fact of the prompt that was cited)."
        )
    return " ".join(parts)


def _reinforcement(content: CardContent) -> str:
    if content.policy.asset != "reason_policy":
        return ""
    reward = content.lineage.get("reward_model")
    if reward is None:
        gate_text = "The reward model that was used is no longer stored, nor its gate."
    else:
        gate = stored_gate(reward)
        meaning = (
            "Its reasons help that model to tell what is liked; that is not yet a better "
            "recommendation."
            if gate.passed
            else "Nothing shows that reasons help to tell what is liked: the reward that was "
            "optimised may be noise."
        )
        gate_text = f"**Reward model.** Gate {gate}. {meaning}"
    terms = pl.DataFrame(
        [
            {"term": name, "first step": _rounded(values[0]), "last step": _rounded(values[-1])}
            for name, values in step_means(content.policy.metrics).items()
        ],
        schema={"term": pl.String, "first step": pl.Float64, "last step": pl.Float64},
    )
    return (
        f"{gate_text}\n\n**GRPO.** Means over the sampled reasons of one step:\n\n"
        f"{markdown_table(terms)}\n\nEach step is about other events, so first and "
        "last are no test of improvement."
    )


def _rounded(value: float | None) -> float | None:
    """None where no sample of a step could be measured."""
    return None if value is None else round(value, 3)


def _reasons(content: CardContent) -> str:
    if content.policy.asset != "reason_policy":
        return ""
    if not content.quality:
        return "**Stored reasons.** None by this policy: their quality was not measured."
    table = pl.DataFrame(
        [
            {
                "measure": measured.name,
                "meaning": measured.meaning,
                "value": f"{measured.interval.value:.3f}",
                "95 % interval": f"{measured.interval.low:.3f} to {measured.interval.high:.3f}"
                if measured.interval.low < measured.interval.high
                else "-",
            }
            for measured in content.quality
        ]
    )
    return (
        f"**Stored reasons** ({content.reasons}, intervals over users). Of the first attempts "
        f"{content.first_grounded:.0%} passed the grounding check; the table is about what was "
        "stored after further attempts and, at last, the composer's text:\n\n"
        f"{markdown_table(table)}\n\nNone of this says that a reader finds a reason convincing."
    )
