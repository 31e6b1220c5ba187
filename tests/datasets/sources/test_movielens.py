"""MovieLens in RecBole's form, joined with Wikidata, on files of a few rows."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from curec_assets.datasets import schema
from curec_assets.datasets.sources.movielens import MovieLensSource
from curec_assets.datasets.sources.wikidata import Film, FilmIndex, choose_actors, read_films
from curec_assets.datasets.titles import match_key, natural_order, split_alternative
from resources.errors import DataError
from resources.models.downloads import RECBOLE, WIKIDATA_FILMS, Downloads, Package
from tests.support.reading import all_rows
from tests.support.source_contract import SourceContract

FILMS = [
    ("The Lion King", 1994, "Drama", "Rob Minkoff, Roger Allers, A Third", "Amy Ace, Rob Minkoff"),
    ("Seven", 1996, "Crime", "David Fincher", "Amy Ace, Bob Bee, Cy Cee, Dan Dee"),
    ("Heat", 1995, "Crime", "Michael Mann", "Cy Cee, Zoe Zed"),
]
INTER = "user_id:token\titem_id:token\trating:float\ttimestamp:float\n1\t2\t4\t881250949\n"
ITEM = (
    "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\n"
    "1\tLion King, The\t1994\tAnimation Children's Film-Noir\n"
    "2\tSeven (Se7en)\t1995\tCrime\n"
    "3\tunkonwn\tunkonwn\tunknown\n"
    '4\tLand Before "Time" III (1995)\tV\tAnimation\n'
    "5\tHeat\t1995\tunknown\n"
)


class Folder(Downloads):
    """Downloads that were made before."""

    def fetch(self, package: Package, member: str) -> Path:
        assert package in (RECBOLE, WIKIDATA_FILMS)
        return Path(self.cache_dir) / member


def movies(path: Path, films: list[tuple[Any, ...]] = FILMS) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(
            'CREATE TABLE omdb ("Title" TEXT, "Year" INTEGER, "Genre" TEXT, "Director" TEXT, '
            '"Cast" TEXT)'
        )
        connection.executemany("INSERT INTO omdb VALUES (?, ?, ?, ?, ?)", films)
        connection.commit()
    return path


@pytest.fixture
def source(tmp_path: Path) -> MovieLensSource:
    folder = tmp_path / RECBOLE.member
    folder.mkdir(parents=True)
    (folder / "ml-100k.inter").write_text(INTER, encoding="utf-8")
    (folder / "ml-100k.item").write_text(ITEM, encoding="utf-8")
    movies(tmp_path / WIKIDATA_FILMS.member)
    return MovieLensSource(Folder(cache_dir=str(tmp_path)))


class TestMovieLens(SourceContract):
    """Each law of the contract."""

    @pytest.fixture
    def opened(self, source: MovieLensSource) -> MovieLensSource:
        return source


def test_ratings(source: MovieLensSource) -> None:
    found = all_rows(source)
    assert found.rows() == [(1, "1", "2", 4.0, 881250949, None, False)]


def test_films(source: MovieLensSource) -> None:
    found = source.items()
    assert found.schema == schema.RAW_ITEMS
    assert [(row["title"], row["year"]) for row in found.rows(named=True)] == [
        ("The Lion King", 1994),
        ("Seven", 1995),
        (None, None),
        ('Land Before "Time" III', 1995),
        ("Heat", 1995),
    ]
    attributes = [
        [(a["kind"], a["value"]) for a in row["attributes"]] for row in found.rows(named=True)
    ]
    assert attributes == [
        [
            ("genre", "Animation"),
            ("genre", "Children's"),
            ("genre", "Film-Noir"),
            ("director", "Rob Minkoff"),
            ("director", "Roger Allers"),
            ("actor", "Amy Ace"),
        ],
        # A year apart; widely cast actors first.
        [
            ("genre", "Crime"),
            ("director", "David Fincher"),
            ("actor", "Amy Ace"),
            ("actor", "Cy Cee"),
            ("actor", "Bob Bee"),
        ],
        [],
        [("genre", "Animation")],
        [
            ("genre", "Crime"),
            ("director", "Michael Mann"),
            ("actor", "Cy Cee"),
            ("actor", "Zoe Zed"),
        ],
    ]


def test_fingerprints_name_the_files(source: MovieLensSource) -> None:
    assert set(source.files()) == {"ml-100k.inter"}
    assert set(source.items_fingerprint()) == {"ml-100k.item", "movies.db"}


def test_a_changed_file_is_named(source: MovieLensSource, tmp_path: Path) -> None:
    path = tmp_path / RECBOLE.member / "ml-100k.inter"
    path.write_text("user_id:token\n1\n", encoding="utf-8")
    with pytest.raises(DataError, match="column 'item_id' was expected, found user_id"):
        all_rows(source)


def test_a_file_without_films_is_named(tmp_path: Path) -> None:
    (tmp_path / "movies.db").write_bytes(b"no database, but long enough to be one" * 40)
    with pytest.raises(DataError, match=r"movies\.db.*fetch it again"):
        read_films(tmp_path / "movies.db")


def film(title: str, year: int, *cast: str) -> Film:
    return Film(title, year, (), ("A Director",), cast)


def test_a_film_is_found_only_where_it_is_unique() -> None:
    exact, later = film("Heat", 1995), film("Heat", 1996)
    index = FilmIndex(
        [
            exact,
            later,
            film("Rose", 1994),
            film("Rose", 1996),
            film("Twin", 2000),
            film("Twin", 2000, "Other Cast"),
        ]
    )
    assert index.find(["Heat"], 1995) == exact
    assert index.find(["HEAT!"], 1997) == later
    assert index.find(["Rose"], 1995) is None
    assert index.find(["Twin"], 2000) is None
    assert index.find(["Heat"], None) is None
    assert index.find(["Heat"], 1999) is None
    assert index.find(["?", ""], 1995) is None
    assert index.find(["Unknown", "Heat"], 1995) == exact


def test_actors_are_those_in_most_films_then_alphabetical() -> None:
    one = film("One", 1990, "Zoe", "Amy", "Bob", "Cy", "A Director")
    two = film("Two", 1991, "Zoe", "Cy")
    assert choose_actors([one, two]) == {one: ("Cy", "Zoe", "Amy"), two: ("Cy", "Zoe")}


@pytest.mark.parametrize(
    ("title", "natural"),
    [
        ("Godfather, The", "The Godfather"),
        ("Misérables, Les", "Les Misérables"),
        ("Avventura, L'", "L'Avventura"),
        ("Good, the Bad and the Ugly, The", "The Good, the Bad and the Ugly"),
        ("I, Worst of All", "I, Worst of All"),
        ("Heat", "Heat"),
    ],
)
def test_natural_order(title: str, natural: str) -> None:
    assert natural_order(title) == natural


def test_alternative_titles() -> None:
    assert split_alternative("Hate (Haine, La)") == ("Hate", "La Haine")
    assert split_alternative("Fille seule, La (A Single Girl)") == (
        "La Fille seule",
        "A Single Girl",
    )
    assert split_alternative("(500) Days") == ("(500) Days", None)


def test_match_keys() -> None:
    assert match_key("The Mépris & Co.") == match_key("mepris and co")
    assert match_key("Schindler's List") == match_key("Schindler\u2019s  List")
    assert match_key("The") == "the"
    assert match_key("七人の侍") != ""
