"""MovieLens 100K, as the RecBole package carries it, with Wikidata's directors and actors.

The ratings are for research use and are read, never redistributed.
"""

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import polars as pl

from curec_assets.core.provenance import digest
from curec_assets.datasets import schema
from curec_assets.datasets.sources.inbox import file_hash
from curec_assets.datasets.sources.wikidata import (
    MAX_DIRECTORS,
    Film,
    FilmIndex,
    choose_actors,
    read_films,
)
from curec_assets.datasets.titles import split_alternative
from resources.errors import DataError
from resources.models.downloads import RECBOLE, WIKIDATA_FILMS, Downloads

_UNKNOWN = "unkonwn"  # sic: RecBole's word for the one film without title and year
_RATINGS = "ml-100k.inter"
_YEAR_AT_END = re.compile(r"^(?P<title>.+) \((?P<year>\d{4})\)$")


@dataclass(frozen=True)
class _Entry:
    item_id: str
    title: str | None
    alternative: str | None
    year: int | None
    genres: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(name for name in (self.title, self.alternative) if name)


class MovieLensSource:
    """100,000 ratings of 1,682 films by 943 users, September 1997 to April 1998."""

    def __init__(self, downloads: Downloads) -> None:
        self._downloads = downloads

    @cached_property
    def _folder(self) -> Path:
        return self._downloads.fetch(RECBOLE, member=RECBOLE.member)

    @cached_property
    def _films(self) -> Path:
        return self._downloads.fetch(WIKIDATA_FILMS, member=WIKIDATA_FILMS.member)

    whole = True

    def files(self) -> dict[str, str]:
        """The file of ratings."""
        return {_RATINGS: file_hash(self._folder / _RATINGS)}

    def vouched_for(self, file: str) -> bool:
        """Always: it does not come piece by piece."""
        return True

    def interactions(self, file: str) -> pl.DataFrame:
        """The ratings, 1 to 5."""
        frame = _read(self._folder / file, "user_id", "item_id", "rating", "timestamp")
        return (
            frame.with_columns(
                pl.col("rating").cast(pl.Float64),
                pl.col("timestamp").cast(pl.Float64).cast(pl.Int64),
                opinions=pl.lit(None, pl.Utf8),
                deleted=pl.lit(value=False),
            )
            .with_row_index("row", offset=1)
            .cast({"row": pl.Int64})
            .select(list(schema.RAW_INTERACTIONS))
        )

    def quarantine(self, file: str) -> pl.DataFrame:
        """Nothing: every event can be used."""
        return pl.DataFrame(schema=schema.QUARANTINE)

    def items(self) -> pl.DataFrame:
        """The films: genres from MovieLens, directors and actors from Wikidata where found."""
        columns = ("item_id", "movie_title", "release_year", "class")
        entries = [_entry(*row) for row in _read(self._folder / "ml-100k.item", *columns).rows()]
        index = FilmIndex(read_films(self._films))
        films = {entry.item_id: index.find(entry.names, entry.year) for entry in entries}
        actors = choose_actors([film for film in films.values() if film])
        return pl.DataFrame(
            [
                {
                    "item_id": entry.item_id,
                    "title": entry.title,
                    "year": entry.year,
                    "attributes": _attributes(entry, films[entry.item_id], actors),
                    "description": None,
                }
                for entry in entries
            ],
            schema=schema.RAW_ITEMS,
        )

    def interactions_fingerprint(self) -> dict[str, str]:
        """Hash of the file of ratings."""
        return {"files": digest(self.files())}

    def items_fingerprint(self) -> dict[str, str]:
        """Hashes of MovieLens' and Wikidata's files."""
        return {
            "ml-100k.item": file_hash(self._folder / "ml-100k.item"),
            "movies.db": file_hash(self._films),
        }


def _read(path: Path, *columns: str) -> pl.DataFrame:
    """Columns of a RecBole atomic file (tab-separated; headers look like `user_id:token`)."""
    frame = pl.read_csv(path, separator="\t", quote_char=None, infer_schema=False)
    frame = frame.rename({name: name.split(":")[0] for name in frame.columns})
    missing = [name for name in columns if name not in frame.columns]
    if missing:
        raise DataError(
            f"{path}: column {missing[0]!r} was expected, found {', '.join(frame.columns)}. "
            "Remove the file from the download cache and fetch it again"
        )
    return frame.select(columns)


def _entry(item_id: str, title: str, year: str, genres: str) -> _Entry:
    if title == _UNKNOWN:
        return _Entry(item_id, None, None, None, ())
    found = _YEAR_AT_END.match(title)  # one film has the year in its title instead
    if found:
        title, year = found["title"], found["year"]
    main, alternative = split_alternative(title)
    return _Entry(
        item_id,
        main,
        alternative,
        int(year) if year.isdigit() else None,
        tuple(genre for genre in genres.split() if genre != "unknown"),
    )


def _attributes(
    entry: _Entry, film: Film | None, actors: dict[Film, tuple[str, ...]]
) -> list[dict[str, str]]:
    genres = entry.genres or (film.genres if film else ())
    directors = film.directors[:MAX_DIRECTORS] if film else ()
    cast = actors[film] if film else ()
    return [
        {"kind": kind, "value": value}
        for kind, values in (("genre", genres), ("director", directors), ("actor", cast))
        for value in values
    ]
