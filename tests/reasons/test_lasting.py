"""Rows with a reason stay while nothing of their own user's changes; the rest waits its turn."""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from curec_assets.datasets.histories import histories_of
from curec_assets.reasons.judged import requests_for, with_reasons
from curec_assets.reasons.lasting import BASIS, WAITS, Allowance, kept, waiting, with_basis
from curec_assets.settings import load_profile
from tests.reasons.test_live import ITEMS, log
from tests.recommender.test_shown_reasons import CATALOGUE, SHOWN, Likely, evidence_of
from tests.recommender.test_shown_reasons import PROFILE as SHOWN_PROFILE

HISTORY = load_profile("smoke").data.max_history


def basis_of(events: pl.DataFrame, interactions: pl.DataFrame, items: pl.DataFrame = ITEMS) -> str:
    [found] = with_basis(events, histories_of(events, interactions, HISTORY), items)[BASIS]
    assert isinstance(found, str)
    return found


@dataclass(frozen=True)
class Changed:
    """One event changed, and whether the basis of another must follow."""

    event: pl.DataFrame
    before: pl.DataFrame
    after: pl.DataFrame
    matters: bool


@st.composite
def changes(draw: st.DrawFn) -> Changed:
    """Flip or remove any event: it matters where it is its own user's, and strictly earlier."""
    before = log(draw(st.lists(st.booleans(), min_size=15, max_size=15)))
    place, at = draw(st.integers(0, 14)), draw(st.integers(0, 14))
    event, other = before.row(place, named=True), before.row(at, named=True)
    is_it = pl.col("event_id") == other["event_id"]
    flipped = before.with_columns(
        liked=pl.col("liked") ^ is_it, rating=pl.when(is_it).then(3.0).otherwise("rating")
    )
    after = draw(st.sampled_from([flipped, before.filter(~is_it)]))
    matters = other["user_id"] == event["user_id"] and other["timestamp"] < event["timestamp"]
    return Changed(before[[place]], before, after, matters)


@given(changes())
@hypothesis_settings(max_examples=150)
def test_the_basis_follows_the_own_user_s_earlier_events_and_nothing_else(change: Changed) -> None:
    is_another = basis_of(change.event, change.before) != basis_of(change.event, change.after)
    assert is_another == change.matters


@pytest.mark.parametrize("item", ["a", "b", "c"])
def test_the_basis_follows_how_an_item_of_it_is_described(item: str) -> None:
    interactions = log([True] * 9)
    event = interactions[[3]]  # of item b, after one of item a
    renamed = ITEMS.with_columns(
        title=pl.when(pl.col("item_id") == item).then(pl.lit("New")).otherwise("title")
    )
    is_another = basis_of(event, interactions) != basis_of(event, interactions, renamed)
    assert is_another == (item != "c")


def test_what_is_kept_has_the_same_basis_and_does_not_wait() -> None:
    rows = pl.DataFrame({"event_id": ["1", "2", "3", "4"], BASIS: ["a", "b", "c", "d"], "n": 1})
    earlier = pl.DataFrame(
        {
            "event_id": ["1", "2", "3", "9"],
            BASIS: ["a", "x", "c", "d"],
            "n": 0,
            "source": ["policy", "policy", WAITS, "composer"],
        }
    )
    assert kept(rows, earlier, "event_id").rows() == [("1", "a", 1, "policy")]
    assert kept(rows, None, "event_id").is_empty()


@pytest.mark.parametrize(
    ("most", "known", "by_policy"),
    [(0, [], []), (1, [], ["b"]), (2, [], ["a", "b"]), (1, ["b"], ["a", "b"]), (0, ["b"], ["b"])],
)
def test_the_policy_newly_writes_so_many_the_most_urgent_first(
    most: int, known: Sequence[str], by_policy: Sequence[str]
) -> None:
    items = ("a", "b")
    shown = SHOWN.with_columns(item_id=pl.Series(items))
    evidence, titles = evidence_of([9, 9]), {"a": "Heat", "b": "Alien"}
    requests = requests_for(shown, evidence, ["", ""], CATALOGUE, SHOWN_PROFILE)
    generator = Likely([request.facts for request in requests])
    wanted = [titles[item] for item in known]
    allowance = Allowance(
        most,
        order=[1, 0],
        is_kept=lambda prompt, _: any(title in str(prompt.messages) for title in wanted),
    )
    rows = with_reasons(
        shown, evidence, ["", ""], generator, CATALOGUE, SHOWN_PROFILE, "p", allowance=allowance
    )
    assert rows.filter(source="policy")["item_id"].to_list() == by_policy
    assert waiting(rows) == 2 - len(by_policy)
    assert rows["grounded"].all() and (rows["level"] == 9).all()
