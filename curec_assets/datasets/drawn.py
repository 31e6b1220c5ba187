"""What people did not do: events that are drawn where a data set only says what they did.

Of clicks, plays or sales nothing can be learnt without their opposite. So beside each event others
are drawn, of the same user and time: the item of an earlier event, which the user had not met; or,
where the user had met the event's own item before, one that they had met too, but did not take this
time. That an item is popular tells no event from a drawn one then, for items are drawn as often as
they are taken; nor does that it is new to the user. What is left is taste. Ours; to draw by
popularity is common.

A drawn event has no rating, for nobody gave one. Models read it as a dislike, in the user's history
too; no reason names it, no page shows it, and its item can still be recommended.
"""

import numba
import numpy as np
import numpy.typing as npt
import polars as pl

from curec_assets.datasets import schema

LEDGER_READ = ("event_id", "user_id", "item_id", "timestamp", "batch", "revision")
"""What of the ledger is drawn from."""
_MOST_LOOKED_AT = 100_000
"""Events; early in the data there may be none to draw."""
_IDS = """
    SELECT event_id AS owner, substr(sha256(concat(event_id, ' drawn ', number)), 1, 16) AS event_id
    FROM owners, range($per_event) AS numbers(number)
"""

Ints = npt.NDArray[np.int64]


def drawn_ids(event_ids: pl.Series, per_event: int) -> pl.DataFrame:
    """owner, event_id of what is drawn beside each event, if anything can be."""
    import duckdb

    with duckdb.connect() as connection:
        connection.register("owners", event_ids.rename("event_id").to_frame())
        found = pl.from_arrow(
            connection.sql(_IDS, params={"per_event": per_event}).to_arrow_table()
        )
    return pl.DataFrame(found).sort("owner", "event_id")


def with_drawn(
    events: pl.DataFrame, ledger: pl.DataFrame, item_ids: pl.Series, per_event: int
) -> pl.DataFrame:
    """`events` (`schema.INTERACTIONS`) and what is drawn beside them, by time and id."""
    drawn = drawn_beside(events, ledger, item_ids, per_event)
    return pl.concat([events, drawn]).sort("timestamp", "event_id")


def drawn_beside(
    events: pl.DataFrame, ledger: pl.DataFrame, item_ids: pl.Series, per_event: int
) -> pl.DataFrame:
    """`schema.INTERACTIONS` without ratings, at most `per_event` for each of `events`.

    `events`: event_id, user_id, item_id, timestamp. `ledger`: `LEDGER_READ`, all of it. `item_ids`:
    the catalogue, of which is drawn.

    What is drawn depends on the event's own batch and earlier ones, deleted events included: what
    arrives later changes nothing. The ring of event ids makes it depend on little of that: without
    one user, what was drawn of others' events stays.
    """
    first = ledger.filter(pl.col("revision") == 1).sort("event_id")
    ring = first.filter(pl.col("item_id").is_in(item_ids.implode()))
    asked = (
        drawn_ids(events["event_id"], per_event)
        .join(events.select("user_id", "item_id", "timestamp", owner="event_id"), on="owner")
        .join(first.select("batch", owner="event_id"), on="owner")
        .sort("event_id")
    )
    users, items = (ring[name].unique().sort() for name in ("user_id", "item_id"))
    owners = _codes(ring["user_id"], users)
    place = _draw(
        ring["event_id"].search_sorted(asked["event_id"]).to_numpy().astype(np.int64),
        _codes(asked["user_id"], users),
        _codes(asked["item_id"], items),
        asked["timestamp"].to_numpy(),
        asked["batch"].to_numpy(),
        np.searchsorted(
            owners, np.arange(len(users) + 1), sorter=np.argsort(owners, kind="stable")
        ),
        np.argsort(owners, kind="stable"),
        _codes(ring["item_id"], items),
        ring["timestamp"].to_numpy(),
        ring["batch"].to_numpy(),
        _MOST_LOOKED_AT,
    )
    return (
        asked.filter(pl.Series(place >= 0))
        .with_columns(
            item_id=ring["item_id"].gather(place[place >= 0]),
            rating=pl.lit(None, pl.Float64),
            liked=pl.lit(value=False),
        )
        .select(list(schema.INTERACTIONS))
    )


def _codes(values: pl.Series, known: pl.Series) -> Ints:
    return known.search_sorted(values).to_numpy().astype(np.int64)


@numba.njit(cache=True)
def _draw(
    points: Ints,
    users: Ints,
    items: Ints,
    times: Ints,
    batches: Ints,
    starts: Ints,
    places: Ints,
    ring_items: Ints,
    ring_times: Ints,
    ring_batches: Ints,
    most: int,
) -> Ints:
    """(asked,) a place of the ring for each, the first from its point on that can be; -1: none.

    `starts`, `places`: of each user, their places, rising.
    """
    found = np.full(len(points), -1, dtype=np.int64)
    for asked in range(len(points)):
        time, batch = times[asked], batches[asked]
        own = places[starts[users[asked]] : starts[users[asked] + 1]]
        known = own[(ring_batches[own] <= batch) & (ring_times[own] <= time)]
        before = known[ring_times[known] < time]
        if (ring_items[before] == items[asked]).any():
            now = ring_items[known[ring_times[known] == time]]
            begin = np.searchsorted(before, points[asked])
            for step in range(len(before)):
                place = before[(begin + step) % len(before)]
                if not (now == ring_items[place]).any():
                    found[asked] = place
                    break
            continue
        met = ring_items[known]
        looked = 0
        for step in range(len(ring_items)):
            place = (points[asked] + step) % len(ring_items)
            if ring_batches[place] > batch:
                continue
            looked += 1
            if looked > most:
                break
            if ring_times[place] < time and not (met == ring_items[place]).any():
                found[asked] = place
                break
    return found
