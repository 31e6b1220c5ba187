"""Small logs of events, and stores over them."""

from collections.abc import Callable

import polars as pl
import pytest

from curec_assets.recommender.two_stage import Store
from curec_assets.settings import RankingSettings

DAY = 86_400
ITEMS = "abcdefgh"
SETTINGS = RankingSettings(wide=3, narrow=2, candidates=6, neighbours=2, patience=5, rounds=20)
ATTRIBUTES = pl.List(pl.Struct({"kind": pl.String, "value": pl.String}))

Event = tuple[str, str, bool, int]


def events(rows: list[Event]) -> pl.DataFrame:
    """user_id, item_id, liked, timestamp, rating."""
    schema = {
        "user_id": pl.String,
        "item_id": pl.String,
        "liked": pl.Boolean,
        "timestamp": pl.Int64,
    }
    found = pl.DataFrame(rows, schema=schema, orient="row")
    return found.with_columns(rating=pl.when("liked").then(5.0).otherwise(1.0))


def catalogue(ids: str | list[str] = ITEMS, *, told: bool = True) -> pl.DataFrame:
    """Items with two genres and a text, or (`told` unset) with neither."""
    return pl.DataFrame(
        {
            "item_id": list(ids),
            "title": list(ids),
            "attributes": [
                [{"kind": "genre", "value": "xy"[number % 2]}] if told else []
                for number in range(len(ids))
            ],
            "text": [f"Item {name}." if told else "" for name in ids],
        },
        schema_overrides={"attributes": ATTRIBUTES},
    )


def embeddings(ids: str | list[str] = ITEMS) -> pl.DataFrame:
    """A vector for each item."""
    vectors = [[1.0, number / 3, (number % 3) - 1.0] for number in range(len(ids))]
    return pl.DataFrame(
        {"item_id": list(ids), "embedding": vectors},
        schema_overrides={"embedding": pl.Array(pl.Float32, 3)},
    )


@pytest.fixture(scope="session")
def store_of() -> Callable[[pl.DataFrame], Store]:
    """Makes a store over a log."""
    items, vectors = catalogue(), embeddings()
    return lambda log: Store.make(log, items, vectors, SETTINGS)
