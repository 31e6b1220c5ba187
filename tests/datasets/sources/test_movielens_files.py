"""MovieLens as it is published: 1M and 10M (`.dat`), and latest, 25M, 32M (CSV)."""

import gzip
from pathlib import Path

import pytest

from curec_assets.datasets.sources.files import FilesSource
from curec_assets.settings import DataSettings
from resources.errors import DataError
from tests.support.reading import all_quarantined, all_rows
from tests.support.source_contract import SourceContract

RATINGS_DAT = "".join(
    f"{1 + n % 7}::{1 + n % 3}::{1 + n % 5}::{978300760 + n}\n" for n in range(40)
)
MOVIES_DAT = (
    "1::Toy Story (1995)::Animation|Children's|Comedy\r\n"
    "2::Misérables, Les (1995)::Drama|Musical\r\n"
    "3::Heat::(no genres listed)\r\n"
)
RATINGS_CSV = "userId,movieId,rating,timestamp\n" + "".join(
    f"{1 + n % 7},{1 + n % 3},{0.5 + n % 9 / 2},{1256677221 + n}\n" for n in range(40)
)
MOVIES_CSV = (
    "movieId,title,genres\n"
    "1,Toy Story (1995),Adventure|Animation\n"
    '2,"American President, The (1995)",Drama|Romance\n'
    "3,(1995),(no genres listed)\n"
)


def dat(
    folder: Path, ratings: str = RATINGS_DAT, movies: str = MOVIES_DAT, coding: str = "latin-1"
) -> FilesSource:
    (folder / "ratings.dat").write_bytes(ratings.encode(coding))
    (folder / "movies.dat.gz").write_bytes(gzip.compress(movies.encode(coding)))
    return FilesSource(
        DataSettings(
            source="files",
            interactions_path=str(folder / "ratings.dat"),
            items_path=str(folder / "movies.dat.gz"),
            attribute_columns=("genres",),
            attribute_separator="|",
        )
    )


def csv(folder: Path) -> FilesSource:
    (folder / "ratings.csv").write_text(RATINGS_CSV)
    (folder / "movies.csv").write_text(MOVIES_CSV)
    return FilesSource(
        DataSettings(
            source="files",
            interactions_path=str(folder / "ratings.csv"),
            items_path=str(folder / "movies.csv"),
            user_column="userId",
            item_column="movieId",
            attribute_columns=("genres",),
            attribute_separator="|",
        )
    )


class TestMovieLens1M(SourceContract):
    """Each law of the contract."""

    @pytest.fixture
    def opened(self, tmp_path: Path) -> FilesSource:
        return dat(tmp_path)


class TestMovieLensLatest(SourceContract):
    """Each law of the contract."""

    @pytest.fixture
    def opened(self, tmp_path: Path) -> FilesSource:
        return csv(tmp_path)


@pytest.mark.parametrize("coding", ["latin-1", "utf-8"])
def test_titles_stand_in_their_natural_order_and_years_beside_them(
    tmp_path: Path, coding: str
) -> None:
    items = dat(tmp_path, coding=coding).items()
    assert items.select("title", "year").rows() == [
        ("Toy Story", 1995),
        ("Les Misérables", 1995),
        ("Heat", None),
    ]
    assert [len(each) for each in items["attributes"]] == [3, 2, 0]
    assert csv(tmp_path).items().select("title", "year").rows() == [
        ("Toy Story", 1995),
        ("The American President", 1995),
        ("(1995)", None),
    ]


def test_where_a_column_has_years_titles_are_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "events.csv").write_text(RATINGS_CSV)
    (tmp_path / "items.csv").write_text("movieId,title,year\n1,Calendar (2019),2018\n")
    found = FilesSource(
        DataSettings(
            source="files",
            interactions_path=str(tmp_path / "events.csv"),
            items_path=str(tmp_path / "items.csv"),
            item_column="movieId",
        )
    )
    assert found.items().select("title", "year").rows() == [("Calendar (2019)", 2018)]


def test_a_line_with_other_cells_is_left_out_and_said(tmp_path: Path) -> None:
    found = dat(tmp_path, RATINGS_DAT + "8::3::5\n")
    assert all_rows(found).height == 40
    assert set(all_quarantined(found)["row"]) == {41}


def test_a_file_of_another_form_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"ratings.dat, line 1: found 1 cells divided by '::'"):
        all_rows(dat(tmp_path, "user\titem\n"))
