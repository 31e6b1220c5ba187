"""The alignment corpus: chat examples of the three tasks, with grounded targets.

The label decides the target's verdict and never appears in a prompt.
"""

from typing import Any

import polars as pl

from curec_assets.alignment.composer import completion, compose, compose_note, evidence_line
from curec_assets.alignment.facts import Catalogue, Facts, facts_by_event
from curec_assets.alignment.prompts import (
    Taste,
    note_prompt,
    reason_prompt,
    revision_prompt,
    verdict_prompt,
)
from curec_assets.alignment.selection import divide_policy_fold
from curec_assets.alignment.taste import outcome_item, taste_of
from curec_assets.seeds import generator
from curec_assets.settings import Profile
from resources.reason_writer import Prompt


def build_corpus(
    event_splits: pl.DataFrame,
    evidence: pl.DataFrame,
    histories: pl.DataFrame,
    items: pl.DataFrame,
    profile: Profile,
) -> pl.DataFrame:
    """event_id, task, system, user, completion: one row per example, in training order."""
    chosen = divide_policy_fold(event_splits, evidence, profile).alignment
    order = pl.DataFrame({"event_id": chosen, "position": range(len(chosen))})
    events = (
        event_splits.select("event_id", "item_id", "liked")
        .join(histories.select("event_id", "item_ids", "likes"), on="event_id")
        .join(order, on="event_id")
        .sort("position")
    )
    catalogue = Catalogue(items)
    facts = facts_by_event(events, evidence, catalogue, profile.evidence.max_attributes)
    rows = [
        {
            "event_id": event["event_id"],
            "task": task,
            "system": prompt.messages[0][1],
            "user": prompt.messages[1][1],
            "completion": target,
        }
        for event, task in zip(events.iter_rows(named=True), _tasks(profile), strict=False)
        for prompt, target in [_example(event, task, facts[event["event_id"]], catalogue, profile)]
    ]
    schema = dict.fromkeys(("event_id", "task", "system", "user", "completion"), pl.String)
    return pl.DataFrame(rows, schema=schema)


def _tasks(profile: Profile) -> list[str]:
    sizes = profile.alignment
    tasks = (
        ["reason"] * sizes.reason_examples
        + ["verdict"] * sizes.verdict_examples
        + ["note"] * sizes.note_examples
    )
    order = generator(profile.seed, "task order").permutation(len(tasks))
    return [tasks[position] for position in order]


def _example(
    event: dict[str, Any], task: str, facts: Facts, catalogue: Catalogue, profile: Profile
) -> tuple[Prompt, str]:
    random = generator(profile.seed, "corpus", event["event_id"])
    taste = taste_of(event["item_ids"], event["likes"], catalogue)
    if task == "note":
        return _note_example(event, taste, catalogue, revise=bool(random.integers(2)))
    verdict = "like" if event["liked"] else "dislike"
    if random.integers(2):  # prompts come with and without a note
        facts = facts.with_note(compose_note(taste))
    target = compose(facts, verdict, random)
    if task == "verdict":
        return verdict_prompt(facts), evidence_line(target)
    return reason_prompt(facts), completion(target)


def _note_example(
    event: dict[str, Any], taste: Taste, catalogue: Catalogue, *, revise: bool
) -> tuple[Prompt, str]:
    if not revise:
        return note_prompt(taste), f"Note: {compose_note(taste)}."
    new = outcome_item(event["item_id"], catalogue)
    liked, disliked = (taste.liked, taste.disliked)
    after = Taste((new, *liked), disliked) if event["liked"] else Taste(liked, (new, *disliked))
    prompt = revision_prompt(taste, compose_note(taste), new, event["liked"])
    return prompt, f"Note: {compose_note(after)}."
