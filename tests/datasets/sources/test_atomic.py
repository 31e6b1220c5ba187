"""RecBole's atomic files, as that library ships and writes them."""

from pathlib import Path

import pytest

from curec_assets.cli.app import main
from curec_assets.datasets.sources.files import FilesSource
from curec_assets.datasets.sources.formats import columns_of, rows_of
from curec_assets.settings import DataSettings, load_profile
from resources.errors import DataError
from tests.support.reading import all_rows
from tests.support.source_contract import SourceContract

INTER = "user_id:token\titem_id:token\trating:float\ttimestamp:float\n"
ITEM = (
    "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\tvector:float_seq\n"
    "1\tLion King, The\t1994\tAnimation Children's\t0.1 0.2\n"
    '2\tLand Before "Time" III\t\t\t\n'
)


def source(folder: Path, inter: str = INTER, item: str = ITEM, **data: object) -> FilesSource:
    rows = [f"{n % 7}\t{1 + n % 2}\t{1 + n % 5}\t{881250949 + n}.0\n" for n in range(60)]
    paths = {"interactions_path": folder / "ml.inter", "items_path": folder / "ml.item"}
    paths["interactions_path"].write_text(inter + "".join(rows), encoding="utf-8")
    paths["items_path"].write_text(item, encoding="utf-8")
    named = {name: str(path) for name, path in paths.items()}
    columns = {"title_column": "movie_title", "year_column": "release_year"}
    return FilesSource(DataSettings(source="files", **(named | columns | data)))


class TestAtomicFiles(SourceContract):
    """Each law of the contract."""

    @pytest.fixture
    def opened(self, tmp_path: Path) -> FilesSource:
        return source(tmp_path, attribute_columns=("class",))


def test_sequences_are_lists_and_titles_are_whole(tmp_path: Path) -> None:
    found = source(tmp_path, attribute_columns=("class",)).items().rows(named=True)
    assert [row["title"] for row in found] == ["Lion King, The", 'Land Before "Time" III']
    assert [row["year"] for row in found] == [1994, None]
    assert [each["value"] for each in found[0]["attributes"]] == ["Animation", "Children's"]
    assert found[1]["attributes"] == []


def test_a_column_that_is_not_asked_for_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "u.item"
    path.write_text("item_id:token\tnote:float_seq\n1\tno number\n", encoding="utf-8")
    assert columns_of(path, "x") == ["item_id", "note"]
    assert rows_of(path, ["item_id"], "x").rows() == [("1",)]


@pytest.mark.parametrize(
    ("header", "part"),
    [
        (INTER.replace("rating:float", "rating"), "found the column 'rating'"),
        (INTER.replace("rating:float", "rating:int"), "found the column 'rating:int'"),
        (INTER.replace("\t", ","), "divided by tabs"),
        (INTER.replace("user_id", "who"), "has no column 'user_id'"),
        (INTER.replace("user_id:token", "user_id:token_seq"), "expected ids as text"),
    ],
)
def test_a_wrong_header_is_named(tmp_path: Path, header: str, part: str) -> None:
    with pytest.raises(DataError) as error:
        all_rows(source(tmp_path, header))
    assert part in str(error.value) and "ml.inter" in str(error.value)


def test_a_row_with_too_many_cells_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"ml\.inter cannot be read as INTER"):
        all_rows(source(tmp_path, INTER + "1\t2\t3\t881250949\t9\n"))


def test_init_drafts_a_profile_for_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source(tmp_path)
    draft = tmp_path / "own.toml"
    files = [str(tmp_path / "ml.item"), str(tmp_path / "ml.inter")]
    assert main(["init", *files, "--to", str(draft), "--extends", "smoke"]) == 0
    data = load_profile(str(draft)).data
    assert (data.title_column, data.year_column) == ("movie_title", "release_year")
    assert data.attribute_columns == ("class",)
    assert main(["data", "check", "--profile", str(draft)]) == 0
    assert "60" in capsys.readouterr().out
