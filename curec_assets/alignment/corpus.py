"""The alignment corpus: chat examples of the three tasks, with grounded targets.

The level that is taught is the evidence model's: a label is a coin flip where the best models have
AUC 0.8, a probability is not. Labels enter the note task alone, as outcomes seen before. Targets
are the composer's; those of the task *reason* are a teacher's where there is one and its answer
was kept.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from curec_assets.alignment.teacher import Lesson, Taught
from curec_assets.core.seeds import random_generator
from curec_assets.datasets.histories import histories_of
from curec_assets.explanation.composer import compose, compose_note
from curec_assets.explanation.facts import Catalogue, Facts, facts_by_event
from curec_assets.explanation.notes import note_facts, outcome_attributes, usual_like_rate
from curec_assets.explanation.prompts import (
    chain,
    completion,
    note_prompt,
    reason_prompt,
    revision_prompt,
    verdict_prompt,
)
from curec_assets.explanation.selection import alignment_events
from curec_assets.settings import Profile
from resources.generation.protocol import Prompt

if TYPE_CHECKING:
    import numpy as np

SCHEMA = pl.Schema(
    {
        "event_id": pl.String(),
        "task": pl.String(),
        "system": pl.String(),
        "user": pl.String(),
        "completion": pl.String(),
        "handles_drawn": pl.Boolean(),
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
    drawn: bool = False
    """Whether what is cited was drawn at random, and is not to be learnt."""


def build_corpus(
    event_splits: pl.DataFrame,
    event_evidence: pl.DataFrame,
    items: pl.DataFrame,
    profile: Profile,
    teach: Teach | None = None,
) -> pl.DataFrame:
    """One row per example, in training order; columns as in `SCHEMA`.

    `handles_drawn`: see `_some_handles`. `source`: who wrote the target, `composer` or `teacher`.
    `refused`: why answers of the teacher were not taken.
    """
    chosen = alignment_events(event_splits, event_evidence, profile)
    order = pl.DataFrame({"event_id": chosen, "position": range(len(chosen))})
    asked = event_splits.join(order, on="event_id", how="semi")
    histories = histories_of(asked, event_splits, profile.data.max_history)
    events = (
        asked.select("event_id", "user_id", "item_id", "liked")
        .join(histories.select("event_id", "item_ids", "likes"), on="event_id")
        .join(event_evidence.select("event_id", "level"), on="event_id")
        .join(order, on="event_id")
        .sort("position")
    )
    catalogue = Catalogue(items)
    facts = facts_by_event(events, event_evidence, catalogue, profile.explanation)
    usual = usual_like_rate(event_splits)
    examples = {
        event["event_id"]: (
            task,
            _example(
                event, task, facts[event["event_id"]], usual[event["event_id"]], catalogue, profile
            ),
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
            "handles_drawn": example.drawn,
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
    event: dict[str, Any],
    task: str,
    facts: Facts,
    usual: float | None,
    catalogue: Catalogue,
    profile: Profile,
) -> _Example:
    random = random_generator(profile.seed, "corpus", event["event_id"])
    if task == "note":
        revise = bool(random.integers(2))
        return _note_example(event, usual, catalogue, profile, revise=revise)
    if random.integers(2):  # prompts come with and without a note
        facts = facts.with_note(_note(event["item_ids"], event["likes"], usual, catalogue, profile))
    drawn = task == "verdict" and bool(random.integers(2))
    some = _some_handles(facts, random) if drawn else ()
    target = compose(facts, event["level"], random)
    if task == "verdict":
        cited = some if drawn else target.cited
        return _Example(verdict_prompt(facts), chain(cited, target.level), drawn=drawn)
    lesson = Lesson(event["event_id"], event["user_id"], facts, event["level"])
    return _Example(reason_prompt(facts), completion(target), lesson)


def _some_handles(facts: Facts, random: "np.random.Generator") -> Sequence[str]:
    """Handles that a chain may cite, drawn at random: those of half of the verdicts.

    So the level has to be read off the facts. Where all chains cite by a rule, a model learns to
    read it off the handles before it, and trips over its own.
    """
    most = {"F": facts.cited_for, "A": facts.cited_against, "N": 1}
    cited: list[str] = []
    for letter, allowed in most.items():
        offered = [handle for handle in facts.handles if handle[0] == letter][:allowed]
        cited += offered[: random.integers(len(offered) + 1)]
    return cited or list(facts.handles)[:1]


def _note_example(
    event: dict[str, Any],
    usual: float | None,
    catalogue: Catalogue,
    profile: Profile,
    *,
    revise: bool,
) -> _Example:
    settings = profile.explanation
    item_ids, likes = list(event["item_ids"]), list(event["likes"])
    before = note_facts(item_ids, likes, catalogue, settings, usual=usual)
    note = compose_note(before)
    if not revise:
        return _Example(note_prompt(before), f"Note: {note}.")
    new = outcome_attributes(event["item_id"], catalogue, settings)
    prompt = revision_prompt(before, note, new, event["liked"])
    after = _note(
        [*item_ids, event["item_id"]], [*likes, event["liked"]], usual, catalogue, profile
    )
    return _Example(prompt, f"Note: {after}.")


def _note(
    item_ids: Sequence[str],
    likes: Sequence[bool],
    usual: float | None,
    catalogue: Catalogue,
    profile: Profile,
) -> str:
    return compose_note(note_facts(item_ids, likes, catalogue, profile.explanation, usual=usual))
