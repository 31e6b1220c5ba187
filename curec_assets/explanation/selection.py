"""Which events serve which purpose: disjoint by construction, chosen by a seeded hash.

A language model that has been fitted on an event's label may remember it. So the events of the
policy fold are divided: some align the model, others drive reinforcement learning, and only the
rest may get reasons that are used as training features.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

import polars as pl

from curec_assets.core.provenance import digest
from curec_assets.settings import Profile


@dataclass(frozen=True)
class PolicyFold:
    """Event ids of the policy fold's training events, by purpose."""

    alignment: tuple[str, ...]
    reinforcement: tuple[str, ...]
    rest: tuple[str, ...]


def draw(event_ids: Iterable[str], count: int, *, seed: int, purpose: str) -> tuple[str, ...]:
    """At most `count` ids: those whose hash under (seed, purpose) is smallest.

    The choice does not depend on the order of the ids, and a new id displaces at most one other.
    """
    ranked = sorted(event_ids, key=lambda event_id: digest([seed, purpose, event_id]))
    return tuple(ranked[:count])


def alignment_events(
    event_splits: pl.DataFrame, event_evidence: pl.DataFrame, profile: Profile
) -> tuple[str, ...]:
    """Those that align the model; the tables are those of `divide_policy_fold`."""
    sizes = profile.alignment
    wanted = sizes.reason_examples + sizes.verdict_examples + sizes.note_examples
    arguable = _arguable(event_splits, event_evidence)
    return draw(arguable, wanted, seed=profile.seed, purpose="alignment")


def divide_policy_fold(
    event_splits: pl.DataFrame, event_evidence: pl.DataFrame, profile: Profile
) -> PolicyFold:
    """Divide the policy fold's arguable events.

    `event_splits`: event_id, split, fold. `event_evidence`: event_id, probability.
    """
    alignment = alignment_events(event_splits, event_evidence, profile)
    left = set(_arguable(event_splits, event_evidence)) - set(alignment)
    prompts = profile.policy.steps * profile.policy.prompts_per_step
    reinforcement = draw(left, prompts, seed=profile.seed, purpose="reinforcement")
    return PolicyFold(alignment, reinforcement, tuple(sorted(left - set(reinforcement))))


def with_evidence(
    event_ids: Collection[str] | pl.Series, event_evidence: pl.DataFrame
) -> list[str]:
    """Those of `event_ids` that are arguable: some model of earlier events gives a probability."""
    known = event_evidence.filter(pl.col("probability").is_not_null())
    return known.filter(pl.col("event_id").is_in(list(event_ids)))["event_id"].to_list()


def _arguable(event_splits: pl.DataFrame, event_evidence: pl.DataFrame) -> list[str]:
    """The arguable events of the policy fold."""
    return with_evidence(
        event_splits.filter(pl.col("fold") == "policy")["event_id"], event_evidence
    )
