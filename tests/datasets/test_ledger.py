"""The ledger: what files said last is what is there, and nothing that was written changes."""

from dataclasses import dataclass, field

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curec_assets.datasets import schema
from curec_assets.datasets.ledger import Read, Revisions, by_batch, current_events, revisions
from resources.errors import DataError

ROWS = st.lists(
    st.tuples(
        st.sampled_from("uv"), st.sampled_from("ab"), st.sampled_from([1.0, 5.0]), st.booleans()
    ),
    max_size=6,
)
READINGS = st.lists(st.tuples(st.sampled_from(["x.csv", "y.csv"]), ROWS), max_size=6)
Rows = list[tuple[str, str, float, bool]]
Events = dict[tuple[str, str], float]


@dataclass
class Ledger:
    """A ledger in memory that reads files as the asset does."""

    most_lost_share: float = 1.0
    whole: bool = False
    vouched_for: bool = False
    rows: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=schema.EVENTS))
    metrics: dict[str, int] = field(default_factory=dict)

    def read(self, *files: tuple[str, Rows]) -> Revisions:
        reads = [
            Read(
                name,
                raw(rows),
                supersedes=bool(self.metrics),
                whole=self.whole,
                vouched_for=self.vouched_for,
            )
            for name, rows in files
        ]
        return self.add(*reads)

    def add(self, *reads: Read) -> Revisions:
        found = revisions(
            reads,
            lambda keys: self.rows.join(keys, on=keys.columns, how="semi"),
            before=self.metrics,
            arrived_at=0,
            most_lost_share=self.most_lost_share,
        )
        self.rows, self.metrics = pl.concat([self.rows, found.rows]), dict(found.metrics)
        return found

    @property
    def current(self) -> Events:
        columns = ("user_id", "item_id", "rating")
        return {(u, i): r for u, i, r in current_events(self.rows).select(columns).iter_rows()}


def raw(rows: Rows) -> pl.DataFrame:
    numbered = [
        (n, user, item, rating, 0, None, gone) for n, (user, item, rating, gone) in enumerate(rows)
    ]
    return pl.DataFrame(numbered, schema=schema.RAW_INTERACTIONS, orient="row")


@dataclass
class Model:
    """What a ledger means, in as few words as possible."""

    events: dict[tuple[str, str], tuple[float, str]] = field(default_factory=dict)

    def read(self, file: str, rows: Rows) -> None:
        last = {(user, item): (rating, gone) for user, item, rating, gone in rows}
        mine = {key for key, (_, owner) in self.events.items() if owner == file}
        for key in mine - last.keys():
            del self.events[key]
        for key, (rating, gone) in last.items():
            if gone:
                self.events.pop(key, None)
            elif key not in self.events or self.events[key][0] != rating:
                self.events[key] = (rating, file)

    @property
    def current(self) -> Events:
        return {key: rating for key, (rating, _) in self.events.items()}


@given(READINGS)
def test_what_was_said_last_is_what_is_there(readings: list[tuple[str, Rows]]) -> None:
    ledger, model = Ledger(), Model()
    for file, rows in readings:
        before = ledger.rows
        ledger.read((file, rows))
        model.read(file, rows)
        assert ledger.current == model.current
        assert ledger.metrics["current"] == len(model.current)
        assert ledger.rows.head(before.height).equals(before)
    assert ledger.rows["sequence"].to_list() == list(range(1, ledger.rows.height + 1))
    revisions_of_each = ledger.rows.group_by("event_id").agg("revision")["revision"].to_list()
    assert all(numbers == list(range(1, len(numbers) + 1)) for numbers in revisions_of_each)


@given(ROWS, ROWS)
def test_files_read_at_once_are_files_read_one_after_the_other(first: Rows, second: Rows) -> None:
    at_once, one_by_one = Ledger(), Ledger()
    at_once.read(("x.csv", first), ("y.csv", second))
    one_by_one.read(("x.csv", first))
    one_by_one.read(("y.csv", second))
    assert at_once.rows.equals(one_by_one.rows)


@given(ROWS, ROWS)
def test_a_whole_file_says_everything(first: Rows, second: Rows) -> None:
    ledger, alone = Ledger(whole=True), Ledger()
    ledger.read(("x.csv", first))
    ledger.read(("renamed.csv", second))
    alone.read(("x.csv", [row for row in second]))
    assert ledger.current == alone.current


@given(ROWS)
def test_the_same_again_adds_nothing(rows: Rows) -> None:
    ledger = Ledger()
    ledger.read(("x.csv", rows))
    assert ledger.read(("x.csv", rows)).rows.is_empty()


def test_a_batch_says_what_it_did() -> None:
    ledger = Ledger()
    ledger.read(("x.csv", [("u", "a", 1.0, False), ("u", "b", 1.0, False), ("v", "a", 1.0, False)]))
    ledger.read(("x.csv", [("u", "a", 5.0, False), ("u", "b", 1.0, False), ("v", "b", 1.0, False)]))
    counts = by_batch(ledger.rows).select("batch", "added", "corrected", "deleted")
    assert counts.rows() == [(1, 3, 0, 0), (2, 1, 1, 1)]


def test_a_review_that_says_something_else_is_a_correction() -> None:
    ledger = Ledger()
    rows: Rows = [("u", "a", 1.0, False), ("v", "a", 1.0, False)]
    ledger.read(("x.csv", rows))
    for opinions in ("-ads", None, None):
        said = raw(rows).with_columns(opinions=pl.Series([opinions, None], dtype=pl.Utf8))
        read = Read("x.csv", said, supersedes=True, whole=False, vouched_for=False)
        ledger.add(read)
    operations = ledger.rows.select("operation", "opinions").rows()
    assert operations == [("add", None), ("add", None), ("correct", "-ads"), ("correct", None)]


def test_a_file_that_lost_too_much_is_refused() -> None:
    ledger = Ledger(most_lost_share=0.5)
    ledger.read(("x.csv", [("u", "a", 1.0, False), ("u", "b", 1.0, False), ("v", "a", 1.0, False)]))
    with pytest.raises(DataError, match=r"x.csv: its 1 rows lack 2 of the 3 known ones"):
        ledger.read(("x.csv", [("u", "a", 1.0, False)]))
    ledger.vouched_for = True
    ledger.read(("x.csv", [("u", "a", 1.0, False)]))
    assert ledger.current == {("u", "a"): 1.0}
