"""A synthetic data set with planted structure, for tests: no file, no network, well under a second.

Users love two genres and one director; ratings follow from that, so a history tells about the next
event and text about the item. Cold items and users, tied timestamps and a year of time are in it.
"""

import numpy as np
import numpy.typing as npt
import polars as pl

from curec_assets.core.provenance import digest
from curec_assets.core.seeds import random_generator
from curec_assets.datasets import schema

Floats = npt.NDArray[np.float64]

N_USERS = 60
N_ITEMS = 80
N_EVENTS = 1500
_START = 1_700_000_000
_YEAR = 365 * 24 * 3600
_TICK = 600  # times are multiples of ten minutes, so that some are equal

_ADJECTIVES = (
    "Silent",
    "Golden",
    "Broken",
    "Hidden",
    "Distant",
    "Crimson",
    "Quiet",
    "Wild",
    "Last",
)
_NOUNS = ("Harbor", "Garden", "River", "Mirror", "Winter", "Stranger", "Empire", "Letter", "Road")
_GENRES = ("action", "comedy", "drama", "horror", "romance", "thriller")
_DIRECTORS = ("Ada Brook", "Ben Castle", "Clara Dunn", "David Ellis", "Eva Frost", "Frank Gale")
_ACTORS = (
    *("Grace Hall", "Henry Ives", "Iris Jones", "Jack Kent", "Kate Lane", "Leo Marsh"),
    *("Mia North", "Noah Owen", "Olive Park", "Paul Quinn", "Rose Reed", "Sam Stone"),
)


class ToySource:
    """60 users, 80 items, about 1,500 events, all from one seed."""

    def __init__(self, seed: int) -> None:
        self._seed = seed

    whole = True

    def files(self) -> dict[str, str]:
        """One, which the seed and the sizes tell."""
        return {"toy": digest([self._seed, N_USERS, N_ITEMS, N_EVENTS])}

    def quarantine(self, file: str) -> pl.DataFrame:
        """Nothing: every event can be used."""
        return pl.DataFrame(schema=schema.QUARANTINE)

    def items(self) -> pl.DataFrame:
        """Titles such as "The Silent Harbor", one or two genres, a director, two actors."""
        random = random_generator(self._seed, "toy items")
        titles = [f"The {a} {n}" for a in _ADJECTIVES for n in _NOUNS]
        random.shuffle(titles)
        rows = []
        for number in range(N_ITEMS):
            genres = random.choice(_GENRES, size=1 + int(random.random() < 0.5), replace=False)
            actors = random.choice(_ACTORS, size=2, replace=False)
            director = random.choice(_DIRECTORS)
            named = [*(("genre", g) for g in genres), ("director", director)]
            named += [("actor", a) for a in actors]
            rows.append(
                {
                    "item_id": f"i{number:02d}",
                    "title": titles[number],
                    "year": int(random.integers(1980, 2020)),
                    "attributes": [{"kind": k, "value": str(v)} for k, v in named],
                    "description": None,
                }
            )
        return pl.DataFrame(rows, schema=schema.RAW_ITEMS)

    def vouched_for(self, file: str) -> bool:
        """Always: it does not come piece by piece."""
        return True

    def interactions(self, file: str) -> pl.DataFrame:
        """Ratings 1 to 5, each user's items drawn without repetition."""
        random = random_generator(self._seed, "toy interactions")
        loved = _indicators(self.items())
        appeal = random.normal(0.0, 0.4, N_ITEMS)
        popularity = random.permutation(1.0 / np.arange(3, N_ITEMS + 3))
        counts = random.multinomial(N_EVENTS - 5 * N_USERS, np.full(N_USERS, 1 / N_USERS)) + 5
        parts = []
        for user, count in enumerate(np.minimum(counts, N_ITEMS)):
            affinity = appeal + _taste(random, loved)
            draw = popularity * np.exp(0.5 * affinity)
            chosen = random.choice(N_ITEMS, size=count, replace=False, p=draw / draw.sum())
            ratings = np.clip(np.round(3.0 + affinity[chosen] + random.normal(0, 0.5, count)), 1, 5)
            begin = int(random.integers(0, _YEAR // 2))  # some users appear late
            ticks = random.integers(begin // _TICK, _YEAR // _TICK, size=count)
            parts.append(
                pl.DataFrame(
                    {
                        "user_id": [f"u{user:02d}"] * count,
                        "item_id": [f"i{number:02d}" for number in chosen],
                        "rating": ratings,
                        "timestamp": _START + ticks * _TICK,
                    }
                )
            )
        frame = pl.concat(parts).with_row_index("row", offset=1)
        frame = frame.with_columns(opinions=pl.lit(None, pl.Utf8), deleted=pl.lit(value=False))
        return frame.cast(schema.RAW_INTERACTIONS).select(list(schema.RAW_INTERACTIONS))

    def interactions_fingerprint(self) -> dict[str, str]:
        """The seed and sizes."""
        return {"files": digest(self.files())}

    def items_fingerprint(self) -> dict[str, str]:
        """The seed and sizes."""
        return self.interactions_fingerprint()


def _indicators(items: pl.DataFrame) -> dict[str, Floats]:
    """Kind and value of a genre or director → 0/1 per item."""
    attributes = items["attributes"].to_list()
    return {
        name: np.array([any(a["value"] == name for a in row) for row in attributes], dtype=float)
        for name in (*_GENRES, *_DIRECTORS)
    }


def _taste(random: np.random.Generator, indicators: dict[str, Floats]) -> Floats:
    genres = random.permutation(_GENRES)
    director, hated = random.choice(_DIRECTORS, size=2, replace=False)
    taste: Floats = (
        1.2 * np.maximum(indicators[genres[0]], indicators[genres[1]])
        - 1.2 * np.maximum(indicators[genres[2]], indicators[genres[3]])
        + 1.0 * indicators[director]
        - 1.0 * indicators[hated]
    )
    return taste
