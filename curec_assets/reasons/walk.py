"""The chronological walk: write, see the outcome, correct the note, go on.

Paper (outline): chronological correction. Ours: how it is done.

A user's rounds are walked in time order. For each event the policy writes a reason from the facts
and from a note on the user's tendencies. A reason whose level is too far from the evidence model's,
or that claims what its facts do not say, is written again, and at last replaced by the composer's.
Then the outcome is seen. Where it contradicts a reason, the policy rewrites the *note*; the new
note is kept only if a reason written with it would have told the outcome better. A stored reason
therefore never depends on its own outcome or a later one, whatever split it is in. Events of one
time share a note.

Every shard is a Parquet file, named by a hash of all that it depends on, the notes it starts from
included. A walk that was interrupted finds its shards again and goes on; a damaged one is written
again.
"""

import logging
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from curec_assets.core.provenance import digest
from curec_assets.evidence.levels import TOSS_UP
from curec_assets.explanation.composer import compose_note
from curec_assets.explanation.grounding import GroundingChecker
from curec_assets.explanation.prompts import (
    NoteFacts,
    note_prompt,
    parse_note,
    revision_prompt,
)
from curec_assets.explanation.thinking import MIDPOINTS
from curec_assets.explanation.writing import ReasonRequest, WrittenReason, write_reasons
from curec_assets.policy.rewards import PolicyEvent
from curec_assets.reasons.rows import REASON, reason_rows
from curec_assets.reasons.shards import keep_shard, kept_shard
from curec_assets.reward.scoring import ScoredEvent
from curec_assets.reward.texts import Sentences
from curec_assets.settings import Profile
from resources.compute.memory import release
from resources.errors import ArtifactError
from resources.generation.protocol import Prompt, Sampling, TextGenerator
from resources.pace import how_far

log = logging.getLogger(__name__)

Scores = NDArray[np.float64]

_EVENT = {
    "event_id": pl.String(),
    "user_id": pl.String(),
    "item_id": pl.String(),
    "timestamp": pl.Int64(),
    "split": pl.String(),
    "round": pl.Int64(),
    "evidence_level": pl.Int64(),
    "evidence_probability": pl.Float64(),
}
_AFTER = {
    "note": pl.String(),
    "reward": pl.Float64(),
    "reader_probability": pl.Float64(),
    "next_note": pl.String(),
}
SHARD = pl.Schema({**_EVENT, **REASON, **_AFTER})
"""`reward`: gains of both readers on the true outcome, in nats. `reader_probability`: of a like, by
the plain reader, which sees the reason alone. `next_note`: the user's note after this time."""


@dataclass(frozen=True, kw_only=True)
class WalkEvent(PolicyEvent):
    """An event to be walked, with what a note about its user is written from."""

    timestamp: int
    split: str
    round: int
    """Which of the user's times it is."""
    note_facts: NoteFacts
    attributes: tuple[str, ...]
    """Of the item, as a note prompt names them once the outcome is known."""


class Readers(Protocol):
    """What is needed of the reward model."""

    def gain(
        self,
        events: Sequence[ScoredEvent],
        reasons: Sequence[Sentences],
        outcomes: Sequence[bool],
    ) -> Scores:
        """Nats by which each reason helps the recommender-shaped reader to tell the outcome."""
        ...

    def reader_gain(self, reasons: Sequence[Sentences], outcomes: Sequence[bool]) -> Scores:
        """Nats by which it helps the plain reader."""
        ...

    def reader_probability(self, reasons: Sequence[Sentences]) -> Scores:
        """The plain reader's probability of a like."""
        ...


class Walk:
    """Walks shards of events with one generator and one reward model."""

    def __init__(
        self,
        generator: TextGenerator,
        readers: Readers,
        checker: GroundingChecker,
        profile: Profile,
        *,
        identity: str,
        folder: Path,
        level_cuts: Sequence[float] = MIDPOINTS,
    ) -> None:
        """`identity` stands for the models in shard names; `folder` is where shards are kept.

        `level_cuts`: see `thinking.answer`.
        """
        self._generator = generator
        self._readers = readers
        self._checker = checker
        self._profile = profile
        self._identity = identity
        self._folder = folder
        self._level_cuts = tuple(level_cuts)

    def run(self, shards: Sequence[Sequence[WalkEvent]]) -> list[Path]:
        """Walk all shards; their files in order.

        Raises `EngineError` when the generator fails, `ArtifactError` when somebody else removes
        shards meanwhile.
        """
        notes: dict[str, str] = {}
        paths = []
        before, started = 0, time.monotonic()
        for number, events in enumerate(shards):
            name = f"{number:04d}-{self._name(events, notes)}"
            path = kept_shard(self._folder, name)
            if path is not None:
                before += 1
            else:
                path = keep_shard(self._shard(events, notes), self._folder, name)
                release()  # what is freed between what stays is lost to a walk of hours
            shard = pl.read_parquet(path)
            notes.update(zip(shard["user_id"], shard["next_note"], strict=True))
            paths.append(path)
            seconds = time.monotonic() - started
            done = how_far(number + 1, len(shards), seconds, "shard", before)
            log.info("%s; %d reasons in this one", done, shard.height)
        gone = [path for path in paths if not path.exists()]
        if gone:
            raise ArtifactError(
                f"{len(gone)} of {len(paths)} shards were removed while others were written, such "
                f"as {gone[0]}. CURec removes none: keep others out of the folder, and run again; "
                "the rest is kept, and what was said before is not paid for again"
            )
        return paths

    def _name(self, events: Sequence[WalkEvent], notes: dict[str, str]) -> str:
        users = [event.user_id for event in events]
        before = {user: notes[user] for user in users if user in notes}
        return digest([self._identity, self._level_cuts, [asdict(e) for e in events], before])

    def _shard(self, events: Sequence[WalkEvent], notes: dict[str, str]) -> pl.DataFrame:
        current = self._first_notes([e for e in events if e.user_id not in notes])
        current |= {e.user_id: notes[e.user_id] for e in events if e.user_id in notes}
        written = self._reasons(events, current)
        rewards = self._rewards(events, written)
        # From here on the outcomes of these events are known; only later ones may use them.
        after = dict(current)
        if self._profile.reasons.correction:
            after |= self._corrected(events, current, written, rewards)
        about = [
            {name: getattr(event, name.removeprefix("evidence_")) for name in _EVENT}
            for event in events
        ]
        outcome = {
            "note": [current[event.user_id] for event in events],
            "reward": rewards,
            "reader_probability": self._readers.reader_probability(written),
            "next_note": [after[event.user_id] for event in events],
        }
        parts = [
            pl.DataFrame(about, schema=_EVENT),
            reason_rows(written, [event.facts for event in events]),
            pl.DataFrame(outcome, schema=_AFTER),
        ]
        return pl.concat(parts, how="horizontal").select(SHARD.names())

    def _first_notes(self, events: Sequence[WalkEvent]) -> dict[str, str]:
        """User → note, from what the history of their (first) event here says."""
        first = {event.user_id: event.note_facts for event in events}
        prompts = [note_prompt(facts) for facts in first.values()]
        texts = self._notes(prompts, map(compose_note, first.values()))
        return dict(zip(first, texts, strict=True))

    def _corrected(
        self,
        events: Sequence[WalkEvent],
        notes: dict[str, str],
        written: Sequence[WrittenReason],
        rewards: Scores,
    ) -> dict[str, str]:
        """User → new note, for users with a contradicted reason whose new note is better.

        Where several reasons of one time are contradicted, the worst of them decides.
        """
        worst: dict[str, tuple[WalkEvent, float]] = {}
        for event, reason, reward in zip(events, written, rewards.tolist(), strict=True):
            known = worst.get(event.user_id)
            if contradicted(reason.level, event.liked, reward) and (
                known is None or reward < known[1]
            ):
                worst[event.user_id] = event, reward
        wrong = list(worst.values())
        prompts = [
            revision_prompt(event.note_facts, notes[event.user_id], event.attributes, event.liked)
            for event, _ in wrong
        ]
        new = self._notes(prompts, (notes[event.user_id] for event, _ in wrong))
        changed = [
            (event, reward, note)
            for (event, reward), note in zip(wrong, new, strict=True)
            if note != notes[event.user_id]
        ]
        again = [event for event, _, _ in changed]
        rewritten = self._once(again, {e.user_id: note for e, _, note in changed})
        gains = self._rewards(again, rewritten)
        kept = {
            event.user_id: note
            for (event, reward, note), reason, gain in zip(changed, rewritten, gains, strict=True)
            if reason.grounded and gain > reward
        }
        log.info(
            "%d users with contradicted reasons, %d notes changed, %d kept",
            len(wrong),
            len(changed),
            len(kept),
        )
        return kept

    def _notes(self, prompts: Sequence[Prompt], fallback: Iterable[str]) -> list[str]:
        completions = self._generator.write(
            prompts, Sampling(self._profile.explanation.note_tokens)
        )
        return [
            parse_note(completion.text) or other
            for completion, other in zip(completions, fallback, strict=True)
        ]

    def _reasons(
        self, events: Sequence[WalkEvent], notes: dict[str, str]
    ) -> Sequence[WrittenReason]:
        """The reasons that are kept, whatever it takes."""
        return write_reasons(
            self._generator,
            _requests(events, notes),
            self._checker,
            self._profile.language_model,
            seed=self._profile.seed,
            max_regenerations=self._profile.reasons.max_regenerations,
            compose_last=True,
            max_level_gap=self._profile.reasons.max_level_gap,
            level_cuts=self._level_cuts,
            free=self._profile.explanation.wording == "free",
        )

    def _once(self, events: Sequence[WalkEvent], notes: dict[str, str]) -> Sequence[WrittenReason]:
        """What the policy itself says under these notes, at its first attempt."""
        return write_reasons(
            self._generator,
            _requests(events, notes),
            self._checker,
            self._profile.language_model,
            seed=self._profile.seed,
            max_regenerations=0,
            compose_last=False,
            level_cuts=self._level_cuts,
            free=self._profile.explanation.wording == "free",
        )

    def _rewards(self, events: Sequence[WalkEvent], written: Sequence[WrittenReason]) -> Scores:
        outcomes = [event.liked for event in events]
        both: Scores = self._readers.gain(events, written, outcomes) + self._readers.reader_gain(
            written, outcomes
        )
        return both


def contradicted(level: int, liked: bool, reward: float) -> bool:
    """Whether an outcome speaks against a reason: its verdict was wrong, or it misled."""
    return reward < 0.0 or (level > TOSS_UP and not liked) or (level < TOSS_UP and liked)


def _requests(events: Sequence[WalkEvent], notes: dict[str, str]) -> list[ReasonRequest]:
    return [
        ReasonRequest(event.event_id, event.facts.with_note(notes[event.user_id]), event.level)
        for event in events
    ]
