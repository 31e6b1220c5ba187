"""Live reasons: the newest events since the snapshot, from what was known strictly before them."""

import polars as pl
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from curec_assets.datasets.histories import histories_of
from curec_assets.explanation.facts import Catalogue
from curec_assets.reasons.live import new_events, notes_before
from curec_assets.settings import load_profile

PROFILE = load_profile("smoke")
ITEMS = pl.DataFrame(
    {
        "item_id": ["a", "b", "c"],
        "title": ["Heat", "Alien", "Fargo"],
        "attributes": [
            [{"kind": "genre", "value": value}] for value in ("crime", "horror", "comedy")
        ],
    }
)
NOTE = "stricter than the crowd; likes crime more; likes none less"


def log(likes: list[bool]) -> pl.DataFrame:
    """Three users in turns, one event a second but for every third, which shares its time."""
    count = len(likes)
    return pl.DataFrame(
        {
            "event_id": [f"e{number:02}" for number in range(count)],
            "user_id": ["uvw"[number % 3] for number in range(count)],
            "item_id": ["abc"[number // 3 % 3] for number in range(count)],
            "rating": [5.0 if like else 1.0 for like in likes],
            "liked": likes,
            "timestamp": [number - number % 3 // 2 for number in range(count)],
        }
    )


def notes_of(events: pl.DataFrame, interactions: pl.DataFrame, reasons: pl.DataFrame) -> list[str]:
    histories = histories_of(interactions, interactions, PROFILE.data.max_history)
    return notes_before(
        events, interactions, histories, reasons, Catalogue(ITEMS), PROFILE.explanation
    )


def test_the_newest_that_the_snapshot_lacks_the_oldest_first() -> None:
    everything = log([True] * 9)
    snapshot = everything.head(6)
    late = everything.head(1).with_columns(event_id=pl.lit("late"), timestamp=pl.lit(2).cast(int))
    interactions = pl.concat([everything, late])
    found = new_events(interactions, snapshot, 10)
    assert found["event_id"].to_list() == ["late", "e06", "e07", "e08"]
    assert new_events(interactions, snapshot, 2)["event_id"].to_list() == ["e07", "e08"]
    assert new_events(snapshot, snapshot, 5).is_empty()


def test_a_note_is_the_latest_stored_strictly_before_the_event() -> None:
    interactions = log([True, False] * 6)
    event = interactions[[9]]  # of u, at 9
    reasons = pl.DataFrame(
        {"user_id": ["u", "u", "u", "v"], "timestamp": [3, 8, 9, 8], "note": ["1", NOTE, "3", "4"]}
    )
    assert notes_of(event, interactions, reasons) == [NOTE]
    [composed] = notes_of(event, interactions, reasons.filter(pl.col("timestamp") == 9))
    assert "the crowd" in composed and composed != "3"


@given(st.lists(st.booleans(), min_size=12, max_size=12), st.integers(0, 11))
@hypothesis_settings(max_examples=40)
def test_no_outcome_at_or_after_an_event_changes_its_note(likes: list[bool], place: int) -> None:
    interactions = log(likes)
    event = interactions[[place]]
    time = event["timestamp"][0]
    flipped = interactions.with_columns(
        liked=pl.when(pl.col("timestamp") >= time).then(~pl.col("liked")).otherwise("liked")
    )
    nothing = pl.DataFrame(schema={"user_id": pl.String, "timestamp": pl.Int64, "note": pl.String})
    assert notes_of(event, interactions, nothing) == notes_of(event, flipped, nothing)
