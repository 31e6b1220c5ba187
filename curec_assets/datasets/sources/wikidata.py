"""Directors and actors of films from Wikidata (CC0), joined on title and year.

Only title, year, genre, director and cast are read. Ratings, votes and awards in the same file tell
how popular a film became later and would leak the future. The order of the cast there is
alphabetical, so "the first three" would be arbitrary: see `choose_actors` (our choice).
"""

import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from curec_assets.datasets.titles import match_key
from resources.errors import DataError

_QUERY = 'SELECT "Title", "Year", "Genre", "Director", "Cast" FROM omdb'
MAX_ACTORS = 3
MAX_DIRECTORS = 2


@dataclass(frozen=True)
class Film:
    """What Wikidata says of one film."""

    title: str
    year: int
    genres: tuple[str, ...]
    directors: tuple[str, ...]
    cast: tuple[str, ...]


class FilmIndex:
    """Films by title and year."""

    def __init__(self, films: Iterable[Film]) -> None:
        self._by_key: dict[str, list[Film]] = defaultdict(list)
        for film in films:
            self._by_key[match_key(film.title)].append(film)

    def find(self, titles: Iterable[str], year: int | None) -> Film | None:
        """The film with one of these titles in that year, or else within one year of it.

        None when there is none or when several would do, or when the year is unknown.
        """
        if year is None:
            return None
        keys = {match_key(title) for title in titles} - {""}
        named = [film for key in keys for film in self._by_key.get(key, ())]
        for tolerance in (0, 1):
            near = [film for film in named if abs(film.year - year) <= tolerance]
            if near:
                return near[0] if len(near) == 1 else None
        return None


def read_films(path: Path) -> list[Film]:
    """All films of the SQLite file. Raises `DataError` when it is not the expected file."""
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as connection:
            rows = connection.execute(_QUERY).fetchall()
    except sqlite3.Error as error:
        raise DataError(
            f"{path}: table `omdb` with columns Title, Year, Genre, Director and Cast was expected "
            f"({error}). Remove the file from the download cache and fetch it again"
        ) from error
    return [
        Film(title, int(year), _names(genre), _names(director), _names(cast))
        for title, year, genre, director, cast in rows
        if title and year
    ]


def choose_actors(films: Sequence[Film]) -> dict[Film, tuple[str, ...]]:
    """At most three actors per film: those in most of the given films, then alphabetically.

    Widely cast names make attributes that films share. Names that are also the film's director
    are left out.
    """
    appearances = Counter(name for film in set(films) for name in set(film.cast))
    return {
        film: tuple(
            sorted(set(film.cast) - set(film.directors), key=lambda n: (-appearances[n], n))[
                :MAX_ACTORS
            ]
        )
        for film in films
    }


def _names(cell: str | None) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for part in (cell or "").split(",") if (name := part.strip())))
