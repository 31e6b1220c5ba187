"""A ballot: pairs of reasons to vote on, without a word on whose they are."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from curec_assets.core.seeds import random_generator
from curec_assets.serving.compared import Compared
from curec_assets.serving.votes import Vote, Won, store_vote, stored_votes
from curec_assets.serving.writers import Writers
from resources.errors import CurecError
from resources.storage.warehouse import Warehouse

Choice = Literal["first", "second", "equal", "skip"]
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Question:
    """Which of two reasons is better?"""

    title: str
    first: str
    second: str


class Ballot:
    """What is asked, one pair after the other; which is shown first depends on seed and event."""

    def __init__(
        self,
        rows: Sequence[Row],
        votes: Collection[Vote],
        store: Callable[[Row, Won], None],
        seed: int,
    ) -> None:
        """`rows`: of `Compared`. `votes`: those that were given before, which are not asked for
        again. `store`: keeps a vote, or raises `CurecError`.
        """
        before = {(vote.event_id, vote.judged) for vote in votes}
        self._waiting = [row for row in reversed(rows) if _identity(row) not in before]
        self._store = store
        self._seed = seed
        self.given = 0
        """Votes."""
        self.said = ""
        """Why the last one was not stored; else empty."""

    @property
    def left(self) -> int:
        """Pairs that wait for a vote."""
        return len(self._waiting)

    @property
    def question(self) -> Question | None:
        """The one that waits; None after the last."""
        if not self._waiting:
            return None
        row = self._waiting[-1]
        first, second = self._order(row)
        return Question(row["title"], row[f"reason_{first}"], row[f"reason_{second}"])

    def choose(self, choice: Choice) -> tuple[int, int, str]:
        """Answer the question; what has changed. A vote that is not stored is asked for again."""
        self.said = ""
        if self._waiting:
            row = self._waiting[-1]
            try:
                if choice != "skip":
                    first, second = self._order(row)
                    won: Mapping[str, Won] = {"first": first, "second": second, "equal": "equal"}
                    self._store(row, won[choice])
                    self.given += 1
                self._waiting.pop()
            except CurecError as error:
                self.said = str(error)
        return self.given, self.left, self.said

    def _order(self, row: Row) -> tuple[Literal["a", "b"], Literal["a", "b"]]:
        swapped = random_generator(self._seed, "ballot", row["event_id"]).random() < 0.5
        return ("b", "a") if swapped else ("a", "b")


def _identity(row: Row) -> tuple[str, frozenset[str]]:
    return row["event_id"], frozenset((row["reason_a"], row["reason_b"]))


def open_ballot(
    home: Path, warehouse: Warehouse, writers: Writers, a: str, b: str, seed: int
) -> Ballot:
    """All pairs of two writers whose texts differ; votes go into the home.

    Raises `ConfigError` where they cannot be compared, `ArtifactError` where the votes that are
    there cannot be read.
    """
    compared = Compared.of(writers, warehouse, a, b)

    def store(row: Row, won: Won) -> None:
        store_vote(home, warehouse, Vote.on(compared, row, won, writers))

    asked = compared.different(None, seed, "ballot")  # in another order than the page with names
    return Ballot(asked, stored_votes(home), store, seed)
