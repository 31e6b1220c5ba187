"""Votes on which of two reasons is better, kept in the home, and the preference pairs they make.

A line is a vote. It holds the texts that were judged and what their writers were asked, because a
name such as `reasons` means other texts after the next `retrain`. It does not say who voted, nor
which user the event is of. `curec forget` takes out the votes on a user's events.
"""

import errno
import fcntl
import json
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Literal

import polars as pl
from pydantic import BaseModel, ConfigDict, ValidationError

from curec_assets.explanation.prompts import ParsedReason, completion, reason_prompt
from curec_assets.explanation.writing import shortened
from curec_assets.serving.compared import Compared
from curec_assets.serving.writers import Writers
from resources.errors import ArtifactError, ConfigError
from resources.storage.warehouse import Warehouse

Won = Literal["a", "b", "equal"]
FILE = "votes.jsonl"
_MODE = 0o600


class Side(BaseModel):
    """One of the two reasons of a vote."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    writer: str
    """As of `Writers.names`, when the vote was given."""
    reason: str
    """What was read and judged."""
    prompt: tuple[dict[str, str], ...]
    """The chat that the writer answers (for the composer: that a model would)."""
    completion: str
    """The answer as a model writes it: chain of thought, then the why sentence."""


class Vote(BaseModel):
    """Which of two reasons somebody held for the better one, without knowing whose they are."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    at: datetime
    """When (UTC)."""
    event_id: str
    a: Side
    b: Side
    won: Won

    @classmethod
    def on(cls, compared: Compared, row: Mapping[str, Any], won: Won, writers: Writers) -> "Vote":
        """On a row of `Compared.rows`."""
        a, b = (
            _side(writers, name, row, side) for side, name in (("a", compared.a), ("b", compared.b))
        )
        return cls(at=datetime.now(UTC), event_id=row["event_id"], a=a, b=b, won=won)

    @property
    def judged(self) -> frozenset[str]:
        """Both texts."""
        return frozenset((self.a.reason, self.b.reason))


def store_vote(home: Path, warehouse: Warehouse, vote: Vote) -> None:
    """Append a vote. Raises `ConfigError` where the home does not know the event any more, or
    cannot be written.
    """
    if not _known(warehouse, [vote.event_id]):
        raise ConfigError(
            "the vote is not stored: its event is no longer in this home, so it was corrected or "
            "its user is forgotten; load the page again"
        )
    try:
        with _held(home / FILE) as stream:
            end = stream.seek(0, os.SEEK_END)
            line = f"{vote.model_dump_json()}\n".encode()
            if stream.write(line) != len(line):
                stream.truncate(end)  # not half a line
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    except OSError as error:
        raise ConfigError(
            f"the vote is not stored: {home / FILE} cannot be written ({error.strerror}); make it "
            "writable, or look at a copy of the home that is (CUREC_HOME)"
        ) from error


def stored_votes(home: Path) -> list[Vote]:
    """All votes, the oldest first. Raises `ArtifactError` for a line that is no vote."""
    found = []
    for number, line in enumerate(_lines(home / FILE), 1):
        try:
            found.append(Vote.model_validate_json(line))
        except ValidationError as error:
            raise ArtifactError(
                f"{home / FILE}, line {number}, is no vote ({error.errors()[0]['msg']}); remove "
                "the line, or restore the file from a backup"
            ) from error
    return found


def forget_votes(home: Path, warehouse: Warehouse, event_ids: Collection[str]) -> None:
    """Take out votes on these events, and on what no longer is an event: nobody could tell whose
    it was.
    """
    file = home / FILE
    for left in home.glob(f"{FILE}.*"):  # by an erasure that was killed
        left.unlink()
    if not file.exists():
        return
    with _held(file):
        lines = _lines(file)
        known = _known(warehouse, [_event_of(line) for line in lines]) - set(event_ids)
        kept = [line for line in lines if _event_of(line) in known]
        if len(kept) == len(lines):
            return
        temporary = file.with_name(f"{FILE}.{os.getpid()}")
        temporary.touch(_MODE)
        temporary.write_bytes(b"".join(line + b"\n" for line in kept))
        temporary.replace(file)


def stray_votes(home: Path, warehouse: Warehouse) -> int:
    """How many votes are on what no longer is an event."""
    events = [_event_of(line) for line in _lines(home / FILE)]
    known = _known(warehouse, events)
    return sum(event not in known for event in events)


def preferences(votes: Sequence[Vote]) -> list[dict[str, list[dict[str, str]]]]:
    """`prompt`, `chosen`, `rejected` as chats, as TRL's preference trainers read them.

    The prompt is what the chosen one's writer was asked. Votes that call both equal make no pair.
    """
    pairs = []
    for vote in votes:
        if vote.won == "equal":
            continue
        chosen, rejected = (vote.a, vote.b) if vote.won == "a" else (vote.b, vote.a)
        pairs.append(
            {
                "prompt": list(chosen.prompt),
                "chosen": [{"role": "assistant", "content": chosen.completion}],
                "rejected": [{"role": "assistant", "content": rejected.completion}],
            }
        )
    return pairs


def write_preferences(votes: Sequence[Vote], file: Path) -> int:
    """`preferences` as JSON lines; how many. Raises `ConfigError` where no vote makes one."""
    pairs = preferences(votes)
    if not pairs:
        raise ConfigError(
            f"none of the {len(votes)} votes of this home prefers a reason, so there is nothing to "
            "write; vote in `curec explore`, on the page Compare"
        )
    text = "".join(f"{json.dumps(pair, ensure_ascii=False)}\n" for pair in pairs)
    file.write_text(text, encoding="utf-8")
    return len(pairs)


def _side(writers: Writers, name: str, row: Mapping[str, Any], side: str) -> Side:
    told = writers.facts(name, row["event_id"], row["item_id"]).with_note(row[f"note_{side}"])
    asked = reason_prompt(shortened(told, row[f"facts_left_out_{side}"]))
    cited, level, why = (row[f"{each}_{side}"] for each in ("cited", "level", "why"))
    return Side(
        writer=name,
        reason=row[f"reason_{side}"],
        prompt=tuple(asked.chat()),
        completion=completion(ParsedReason(tuple(cited), level, why)),
    )


def _known(warehouse: Warehouse, event_ids: Sequence[str]) -> set[str]:
    """Which of them are events of the home."""
    if not event_ids or not warehouse.has("interactions"):
        return set()
    keys = pl.DataFrame({"event_id": event_ids}, schema={"event_id": pl.String})
    return set(warehouse.matching("interactions", keys, ["event_id"])["event_id"])


def _event_of(line: bytes) -> str:
    """Empty where the line is damaged."""
    try:
        return str(json.loads(line)["event_id"])
    except (ValueError, KeyError, TypeError):
        return ""


def _lines(file: Path) -> list[bytes]:
    try:
        return [line for line in file.read_bytes().split(b"\n") if line]
    except FileNotFoundError:
        return []


@contextmanager
def _held(file: Path) -> Iterator[IO[bytes]]:
    """The file, opened to append; others that hold it wait. It is made where there is none."""
    while True:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
        with os.fdopen(os.open(file, flags, _MODE), "ab", buffering=0) as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            if _is_still(file, stream):
                yield stream
                return


def _is_still(file: Path, stream: IO[bytes]) -> bool:
    """Whether nobody has put another file in its place."""
    try:
        return os.path.samestat(os.fstat(stream.fileno()), file.stat())
    except FileNotFoundError:
        return False
