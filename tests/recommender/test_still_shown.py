"""Recommendations stay while their user does nothing, for some days."""

import polars as pl
import pytest

from curec_assets.reasons.lasting import BASIS, WAITS
from curec_assets.recommender.still_shown import still_shown, with_grounds
from tests.reasons.test_live import ITEMS, log

LOG = log([True] * 6)
NOW, DAY = 1_000, 86_400
SHOWN = pl.DataFrame(
    {"user_id": ["u", "u", "v", "v"], "rank": [1, 2, 1, 2], "item_id": ["c", "b", "c", "a"]}
).with_columns(as_of=pl.lit(NOW), source=pl.lit("policy"))
EARLIER = with_grounds(SHOWN, LOG, ITEMS, 10)
ROW = pl.int_range(pl.len())
NEW = LOG.head(1).with_columns(event_id=pl.lit("new"), timestamp=pl.lit(500, pl.Int64))


def staying(
    earlier: pl.DataFrame | None = EARLIER,
    interactions: pl.DataFrame = LOG,
    users: tuple[str, ...] = ("u", "v"),
    now: int = NOW + 7 * DAY,
) -> set[str]:
    found = still_shown(
        earlier, interactions, ITEMS, users=users, now=now, days=7.0, max_history=10
    )
    return set() if found is None else set(found["user_id"])


def test_they_stay_with_all_their_rows_while_nothing_happens() -> None:
    found = still_shown(EARLIER, LOG, ITEMS, users=["u", "v"], now=NOW, days=7.0, max_history=10)
    assert found is not None and found.equals(EARLIER)
    assert EARLIER[BASIS].n_unique() == 4


@pytest.mark.parametrize(
    ("what", "stay"),
    [
        ({"interactions": pl.concat([LOG, NEW])}, {"v"}),
        ({"interactions": LOG.filter(pl.col("event_id") != "e00")}, {"v"}),
        ({"users": ("v", "w")}, {"v"}),
        ({"now": NOW + 7 * DAY + 1}, set()),
        ({"earlier": None}, set()),
        (
            {
                "earlier": EARLIER.with_columns(
                    source=pl.when(ROW == 3).then(pl.lit(WAITS)).otherwise("source")
                )
            },
            {"u"},
        ),
    ],
    ids=["came", "gone", "no longer served", "too old", "another policy", "waits"],
)
def test_those_go_whose_user_has_changed(what: dict[str, object], stay: set[str]) -> None:
    assert staying(**what) == stay  # type: ignore[arg-type]
