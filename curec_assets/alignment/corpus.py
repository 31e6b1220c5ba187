"""The alignment corpus: chat examples of the three tasks, with grounded targets.

The label decides the target's verdict and never appears in a prompt. Targets are the composer's;
those of the task *reason* are a teacher's where there is one and its answer was kept.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import polars as pl

from curec_assets.alignment.teacher import Lesson, Taught
from curec_assets.core.seeds import random_generator
from curec_assets.explanation.composer import completion, compose, compose_note, evidence_line
from curec_assets.explanation.facts import Catalogue, Facts, HistoryItem, facts_by_event
from curec_assets.explanation.notes import note_facts, outcome_item
from curec_assets.explanation.prompts import (
    NoteFacts,
    note_prompt,
    reason_prompt,
    revision_prompt,
    verdict_prompt,
)
from curec_assets.explanation.selection import alignment_events
from curec_assets.settings import Profile
from resources.generation.protocol import Prompt

SCHEMA = pl.Schema(
    {
        "event_id": pl.String(),
        "task": pl.String(),
        "system": pl.String(),
        "user": pl.String(),
        "completion": pl.String(),
        "source": pl.String(),
        "refused": pl.List(pl.String),
    }
)

Teach = Callable[[Sequence[Lesson]], Mapping[str, Taught]]
"""`Teacher.teach`, for instance."""


@dataclass(frozen=True)
class _Example:
    """A prompt with the composer's target."""

    prompt: Prompt
    target: str
    lesson: Lesson | None = None
    """What a teacher could be asked instead."""


def build_corpus(
    event_splits: pl.DataFrame,
    evidence: pl.DataFrame,
    histories: pl.DataFrame,
    items: pl.DataFrame,
    profile: Profile,
    teach: Teach | None = None,
) -> pl.DataFrame:
    """One row per example, in training order; columns as in `SCHEMA`.

    `source`: who wrote the target, `composer` or `teacher`. `refused`: why answers of the teacher
    were not taken.
    """
    chosen = alignment_events(event_splits, evidence, profile)
    order = pl.DataFrame({"event_id": chosen, "position": range(len(chosen))})
    events = (
        event_splits.select("event_id", "user_id", "item_id", "liked")
        .join(histories.select("event_id", "item_ids", "likes"), on="event_id")
        .join(order, on="event_id")
        .sort("position")
    )
    catalogue = Catalogue(items)
    facts = facts_by_event(events, evidence, histories, catalogue, profile.evidence)
    examples = {
        event["event_id"]: (
            task,
            _example(event, task, facts[event["event_id"]], catalogue, profile),
        )
        for event, task in zip(events.iter_rows(named=True), _tasks(profile), strict=False)
    }
    lessons = [example.lesson for _, example in examples.values() if example.lesson]
    taught = teach(lessons) if teach else {}
    nothing = Taught(None, ())
    rows = [
        {
            "event_id": event_id,
            "task": task,
            "system": example.prompt.messages[0][1],
            "user": example.prompt.messages[1][1],
            "completion": answer.completion or example.target,
            "source": "teacher" if answer.completion else "composer",
            "refused": answer.refused,
        }
        for event_id, (task, example) in examples.items()
        for answer in [taught.get(event_id, nothing)]
    ]
    return pl.DataFrame(rows, schema=SCHEMA)


def _tasks(profile: Profile) -> list[str]:
    sizes = profile.alignment
    tasks = (
        ["reason"] * sizes.reason_examples
        + ["verdict"] * sizes.verdict_examples
        + ["note"] * sizes.note_examples
    )
    order = random_generator(profile.seed, "task order").permutation(len(tasks))
    return [tasks[position] for position in order]


def _example(
    event: dict[str, Any], task: str, facts: Facts, catalogue: Catalogue, profile: Profile
) -> _Example:
    random = random_generator(profile.seed, "corpus", event["event_id"])
    noted = note_facts(event["item_ids"], event["likes"], catalogue, profile.explanation)
    if task == "note":
        new = outcome_item(event["item_id"], catalogue, profile.explanation)
        return _note_example(noted, new, event["liked"], revise=bool(random.integers(2)))
    verdict = "like" if event["liked"] else "dislike"
    if random.integers(2):  # prompts come with and without a note
        facts = facts.with_note(compose_note(noted))
    target = compose(facts, verdict, random)
    if task == "verdict":
        return _Example(verdict_prompt(facts), evidence_line(target))
    lesson = Lesson(event["event_id"], event["user_id"], facts, verdict)
    return _Example(reason_prompt(facts), completion(target), lesson)


def _note_example(
    noted: NoteFacts, outcome: HistoryItem, liked_it: bool, *, revise: bool
) -> _Example:
    if not revise:
        return _Example(note_prompt(noted), f"Note: {compose_note(noted)}.")
    liked, disliked = (noted.liked, noted.disliked)
    after = (
        replace(noted, liked=(outcome, *liked))
        if liked_it
        else replace(noted, disliked=(outcome, *disliked))
    )
    prompt = revision_prompt(noted, compose_note(noted), outcome, liked_it)
    return _Example(prompt, f"Note: {compose_note(after)}.")
