"""The chronological walk: write, see the outcome, correct the note, go on.

Paper (outline): chronological correction. Ours: how it is done.

Round k holds the k-th chosen event of every user. For each event the policy writes a reason from
evidence and the user's preference note. Then the outcome is seen: where the reward model finds the
reason contradicted (a negative gain), the policy rewrites the *note*, once; the new note is kept
only if a reason written with it would have gained more. A stored reason therefore never depends on
its own outcome or a later one, whatever split it is in.

Every round is one Parquet shard, named by a hash of all that it depends on, the notes it starts
from included. A walk that was interrupted finds its shards again and goes on.
"""

import logging
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import polars as pl

from curec_assets.core.provenance import digest
from curec_assets.explanation.composer import compose_note
from curec_assets.explanation.facts import HistoryItem
from curec_assets.explanation.grounding import GroundingChecker
from curec_assets.explanation.prompts import (
    NoteFacts,
    note_prompt,
    parse_note,
    revision_prompt,
)
from curec_assets.explanation.writing import ReasonRequest, WrittenReason, write_reasons
from curec_assets.policy.rewards import PolicyEvent, Scorer
from curec_assets.settings import Profile
from resources.generation.protocol import Prompt, Sampling, TextGenerator

log = logging.getLogger(__name__)


SHARD = pl.Schema(
    {
        "event_id": pl.String,
        "user_id": pl.String,
        "item_id": pl.String,
        "timestamp": pl.Int64,
        "split": pl.String,
        "round": pl.Int64,
        "reason": pl.String,
        "verdict": pl.String,
        "verdict_probability": pl.Float64,
        "grounded": pl.Boolean,
        "first_grounded": pl.Boolean,
        "source": pl.String,
        "attempts": pl.Int64,
        "history_left_out": pl.Int64,
        "note": pl.String,
        "reward": pl.Float64,
        "next_note": pl.String,
    }
)


@dataclass(frozen=True, kw_only=True)
class WalkEvent(PolicyEvent):
    """An event to be walked, with what a note about its user is written from."""

    timestamp: int
    split: str
    note_facts: NoteFacts
    outcome: HistoryItem
    """The event's item as a note prompt names it once the outcome is known."""


class Walk:
    """Walks rounds of events with one generator and one reward model."""

    def __init__(
        self,
        generator: TextGenerator,
        scorer: Scorer,
        checker: GroundingChecker,
        profile: Profile,
        *,
        identity: str,
        shards: Path,
    ) -> None:
        """`identity` stands for the models in shard names; `shards` is where shards are kept."""
        self._generator = generator
        self._scorer = scorer
        self._checker = checker
        self._profile = profile
        self._identity = identity
        self._shards = shards

    def run(self, rounds: Sequence[Sequence[WalkEvent]]) -> list[Path]:
        """Walk all rounds; the shards in order. Raises `EngineError` when the generator fails."""
        notes: dict[str, str] = {}
        paths = []
        for number, events in enumerate(rounds):
            path = self._shards / f"{number:04d}-{self._name(events, notes)}.parquet"
            if not path.exists():
                _write_atomically(self._round(number, events, notes), path)
            shard = pl.read_parquet(path)
            notes.update(zip(shard["user_id"], shard["next_note"], strict=True))
            paths.append(path)
            log.info("round %d of %d: %d reasons", number + 1, len(rounds), shard.height)
        return paths

    def _name(self, events: Sequence[WalkEvent], notes: dict[str, str]) -> str:
        users = [event.user_id for event in events]
        before = {user: notes[user] for user in users if user in notes}
        return digest([self._identity, [asdict(event) for event in events], before])

    def _round(
        self, number: int, events: Sequence[WalkEvent], notes: dict[str, str]
    ) -> pl.DataFrame:
        current = self._first_notes([e for e in events if e.user_id not in notes])
        current |= {e.user_id: notes[e.user_id] for e in events if e.user_id in notes}
        written = self._reasons(events, current, self._profile.reasons.max_regenerations)
        rewards = self._gains(events, written)
        # From here on the outcomes of this round are known; only later rounds may use them.
        after = dict(current)
        if self._profile.reasons.correction:
            after |= self._corrected(events, current, rewards)
        return pl.DataFrame(
            [
                {
                    "event_id": event.event_id,
                    "user_id": event.user_id,
                    "item_id": event.item_id,
                    "timestamp": event.timestamp,
                    "split": event.split,
                    "round": number,
                    **asdict(reason),
                    "note": current[event.user_id],
                    "reward": reward,
                    "next_note": after[event.user_id],
                }
                for event, reason, reward in zip(events, written, rewards, strict=True)
            ],
            schema=SHARD,
        )

    def _first_notes(self, events: Sequence[WalkEvent]) -> dict[str, str]:
        prompts = [note_prompt(event.note_facts) for event in events]
        texts = self._notes(prompts, (compose_note(event.note_facts) for event in events))
        return {event.user_id: text for event, text in zip(events, texts, strict=True)}

    def _corrected(
        self, events: Sequence[WalkEvent], notes: dict[str, str], rewards: Sequence[float]
    ) -> dict[str, str]:
        """User → new note, for users whose reason was contradicted and whose new note is better."""
        wrong = [(e, r) for e, r in zip(events, rewards, strict=True) if r < 0.0]
        prompts = [
            revision_prompt(event.note_facts, notes[event.user_id], event.outcome, event.liked)
            for event, _ in wrong
        ]
        new = self._notes(prompts, (notes[event.user_id] for event, _ in wrong))
        changed = [
            (event, old_reward, note)
            for (event, old_reward), note in zip(wrong, new, strict=True)
            if note != notes[event.user_id]
        ]
        again = [event for event, _, _ in changed]
        rewritten = self._reasons(again, {e.user_id: note for e, _, note in changed}, 0)
        gains = self._gains(again, rewritten)
        kept = {
            event.user_id: note
            for (event, old_reward, note), gain in zip(changed, gains, strict=True)
            if gain > old_reward
        }
        log.info(
            "%d of %d reasons contradicted, %d notes changed, %d kept",
            len(wrong),
            len(events),
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
        self, events: Sequence[WalkEvent], notes: dict[str, str], max_regenerations: int
    ) -> list[WrittenReason]:
        requests = [
            ReasonRequest(event.event_id, event.facts.with_note(notes[event.user_id]))
            for event in events
        ]
        return write_reasons(
            self._generator,
            requests,
            self._checker,
            self._profile.language_model,
            seed=self._profile.seed,
            max_regenerations=max_regenerations,
            compose_last=True,
        )

    def _gains(self, events: Sequence[WalkEvent], written: Sequence[WrittenReason]) -> list[float]:
        outcomes = [event.liked for event in events]
        reasons = [reason.reason for reason in written]
        gains: list[float] = self._scorer.gain(events, reasons, outcomes).tolist()
        return gains


def _write_atomically(frame: pl.DataFrame, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    frame.write_parquet(temporary)
    temporary.rename(path)
