"""Made-up events with the shape of Amazon's ratings of books (2014): many people who rate little.

There a user with rank r by number of ratings has about r^-0.65 of them, and an item (r + 30)^-0.8;
times are whole days, most ratings are high. Ids are of their lengths, and tell nothing of ranks.
Every part of the events is by itself, so that no more than one is in memory.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

PART = 1_000_000
"""Events in a file."""
DIM = 384  # of all-MiniLM-L6-v2, the encoder of the profile `laptop`
_FIRST_DAY, _DAYS, _DAY = 11_000, 5_500, 86_400  # 2000 to 2015
_STARS = (0.07, 0.05, 0.10, 0.20, 0.58)
_KINDS, _BRANDS = 400, 50_000
_ROWS = 100_000


@dataclass(frozen=True)
class Shape:
    """How much there is."""

    events: int
    items: int

    @property
    def users(self) -> int:
        """Amazon's books: a user for three events."""
        return max(self.events // 3, 10)


def parts(shape: Shape, seed: int = 0) -> Iterator[pl.DataFrame]:
    """user_id, item_id, rating, timestamp: a part after the other, each of later days."""
    users, items = (
        np.cumsum((np.arange(size) + shift) ** -power)
        for size, shift, power in ((shape.users, 1.0, 0.65), (shape.items, 31.0, 0.8))
    )
    sizes = [min(PART, shape.events - begin) for begin in range(0, shape.events, PART)]
    for number, size in enumerate(sizes):
        random = np.random.default_rng((seed, number))
        days = random.uniform(number, number + 1, size) / len(sizes) * _DAYS
        yield pl.DataFrame(
            {
                "user_id": ids("A", 13, _drawn(random, users, size)),
                "item_id": ids("B", 9, _drawn(random, items, size)),
                "rating": random.choice(np.arange(1.0, 6.0), size, p=_STARS),
                "timestamp": (_FIRST_DAY + np.sort(days).astype(np.int64)) * _DAY,
            }
        )


def write_catalogue(shape: Shape, file: Path, seed: int = 0) -> None:
    """A file of item_id, title, year, category, brand."""
    random = np.random.default_rng((seed, 1_000_000))
    number = pl.Series(np.arange(shape.items))
    rows = pl.DataFrame(
        {
            "item_id": ids("B", 9, np.arange(shape.items)),
            "title": pl.select(pl.format("A book of {}", number)).to_series(),
            "year": random.integers(1950, 2015, shape.items),
            "category": _named("kind", random.zipf(1.3, shape.items) % _KINDS),
            "brand": _named("press", random.zipf(1.1, shape.items) % _BRANDS),
        }
    )
    rows.write_parquet(file)


def embeddings(shape: Shape, seed: int = 0) -> Iterator[pl.DataFrame]:
    """item_id, embedding: unit vectors in every direction."""
    for begin in range(0, shape.items, _ROWS):
        random = np.random.default_rng((seed, 2_000_000, begin))
        size = min(_ROWS, shape.items - begin)
        vectors = random.standard_normal((size, DIM), dtype=np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        yield pl.DataFrame(
            {
                "item_id": ids("B", 9, np.arange(begin, begin + size)),
                "embedding": pl.Series(vectors, dtype=pl.Array(pl.Float32, DIM)),
            }
        )


def ids(letter: str, digits: int, numbers: npt.NDArray[np.int64]) -> pl.Series:
    """One id for each number, of one length; near numbers are far from each other."""
    mixed = pl.Series(numbers).cast(pl.Int64) * 7_919_999 % (10**digits - 63)
    return pl.select(letter + mixed.cast(pl.String).str.zfill(digits)).to_series()


def _drawn(
    random: np.random.Generator, cumulated: npt.NDArray[np.float64], size: int
) -> npt.NDArray[np.int64]:
    return np.searchsorted(cumulated, random.uniform(0.0, cumulated[-1], size))


def _named(word: str, numbers: npt.NDArray[np.int64]) -> pl.Series:
    return pl.select(pl.format("{} {}", pl.lit(word), pl.Series(numbers))).to_series()
