"""What people did not do: events that are drawn where a data set only says what they did.

Of clicks, plays or sales nothing can be learnt without their opposite. So beside each event others
are drawn, of the same user and time, with an item like the event's own:

- one that others had taken, but not this user: the item of an earlier event of anybody;
- one that this user had taken before: another such, which they did not take this time;
- one that nobody had taken: another of the catalogue that nobody had.

Neither that an item is popular tells an event from a drawn one then, for items are drawn as often
as they were taken, nor that it is new, to the user or to all. What is left is taste, and what is in
demand now. Ours; to draw by popularity is common.

A drawn event has no rating, for nobody gave one. Models read it as a dislike, in the user's history
too; no reason names it, no history on a page shows it, and its item can still be recommended.
Reasons are written about some of them, for the readers need both outcomes.
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
    users, items = ring["user_id"].unique().sort(), item_ids.unique().sort()
    ring_users, ring_items = _codes(ring["user_id"], users), _codes(ring["item_id"], items)
    points = pl.Series(_points(items)).sort()
    drawn = _draw(
        ring["event_id"].search_sorted(asked["event_id"]).to_numpy().astype(np.int64),
        points.search_sorted(asked["event_id"]).to_numpy().astype(np.int64),
        _codes(asked["user_id"], users),
        _codes(asked["item_id"], items),
        asked["timestamp"].to_numpy(),
        asked["batch"].to_numpy(),
        *_places_of(ring_users, len(users)),
        *_places_of(ring_items, len(items)),
        np.argsort(_points(items)),
        ring_items,
        ring["timestamp"].to_numpy(),
        ring["batch"].to_numpy(),
        _MOST_LOOKED_AT,
    )
    return (
        asked.filter(pl.Series(drawn >= 0))
        .with_columns(
            item_id=items.gather(drawn[drawn >= 0]),
            rating=pl.lit(None, pl.Float64),
            liked=pl.lit(value=False),
            opinions=pl.lit(None, pl.Utf8),
        )
        .select(list(schema.INTERACTIONS))
    )


def _points(items: pl.Series) -> npt.NDArray[np.str_]:
    """Where items that nobody has taken stand on a ring of their own."""
    import duckdb

    with duckdb.connect() as connection:
        connection.register("items", pl.DataFrame({"item_id": items}))
        asked = "SELECT substr(sha256(concat('item ', item_id)), 1, 16) AS point FROM items"
        found = pl.DataFrame(pl.from_arrow(connection.sql(asked).to_arrow_table()))
    return found["point"].to_numpy().astype(str)


def _places_of(owners: Ints, size: int) -> tuple[Ints, Ints]:
    """Where the places of each owner begin, and the places, owner after owner, rising."""
    starts = np.zeros(size + 1, dtype=np.int64)
    np.cumsum(np.bincount(owners, minlength=size), out=starts[1:])
    return starts, np.argsort(owners, kind="stable").astype(np.int64)


def _codes(values: pl.Series, known: pl.Series) -> Ints:
    return known.search_sorted(values).to_numpy().astype(np.int64)


@numba.njit(cache=True)
def _taken(own: Ints, times: Ints, batches: Ints, time: int, batch: int) -> bool:
    """Whether any of the places is of a batch up to `batch` and before `time`."""
    found = False
    for place in own:
        found |= batches[place] <= batch and times[place] < time
        if found:
            break
    return found


@numba.njit(cache=True)
def _draw(
    points: Ints,
    item_points: Ints,
    users: Ints,
    items: Ints,
    times: Ints,
    batches: Ints,
    user_starts: Ints,
    of_users: Ints,
    item_starts: Ints,
    of_items: Ints,
    item_ring: Ints,
    ring_items: Ints,
    ring_times: Ints,
    ring_batches: Ints,
    most: int,
) -> Ints:
    """(asked,) code of an item for each, the first from its point on that is one; -1: none.

    `points`, `item_points`: places on the ring of events, and on that of items. `user_starts`,
    `of_users`, `item_starts`, `of_items`: the events of each user and of each item.
    """
    found = np.full(len(points), -1, dtype=np.int64)
    for asked in range(len(points)):
        time, batch, item = times[asked], batches[asked], items[asked]
        own = of_users[user_starts[users[asked]] : user_starts[users[asked] + 1]]
        known = own[(ring_batches[own] <= batch) & (ring_times[own] <= time)]
        before = known[ring_times[known] < time]
        now = ring_items[known[ring_times[known] == time]]
        if (ring_items[before] == item).any():
            begin = np.searchsorted(before, points[asked])
            for step in range(len(before)):
                other = ring_items[before[(begin + step) % len(before)]]
                if not (now == other).any():
                    found[asked] = other
                    break
            continue
        events = of_items[item_starts[item] : item_starts[item + 1]]
        if not _taken(events, ring_times, ring_batches, time, batch):
            for step in range(len(item_ring)):
                other = item_ring[(item_points[asked] + step) % len(item_ring)]
                events = of_items[item_starts[other] : item_starts[other + 1]]
                if not (now == other).any() and not _taken(
                    events, ring_times, ring_batches, time, batch
                ):
                    found[asked] = other
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
                found[asked] = ring_items[place]
                break
    return found
