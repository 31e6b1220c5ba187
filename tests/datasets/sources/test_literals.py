"""Amazon's data of 2014: lines of Python literals under a name that ends in .json."""

import gzip
from pathlib import Path

import pytest

from curec_assets.cli.app import main
from curec_assets.datasets.sources.files import FilesSource
from curec_assets.datasets.sources.formats import columns_of, rows_of
from curec_assets.settings import DataSettings, load_profile
from resources.errors import DataError
from tests.support.reading import all_quarantined, all_rows
from tests.support.source_contract import SourceContract

EVENTS = [
    {
        "reviewerID": f"A{n % 9}",
        "asin": f"B{n % 4}",
        "reviewerName": "Ada Brook",
        "helpful": [2, 3],
        "reviewText": 'It\'s "good" \\o/',
        "overall": float(1 + n % 5),
        "unixReviewTime": 1_252_800_000 + 3_600 * n,
    }
    for n in range(60)
]
ITEMS = [
    {
        "asin": f"B{n}",
        "title": f"Girls' thing {n}",
        "price": 3.17,
        "salesRank": {"Toys & Games": 211836},
        "brand": "Coxlures",
        "categories": [["Sports", "Sports > Dance"], ["Sports", "Ünï"]],
    }
    for n in range(4)
]
MAPPING = {
    "user_column": "reviewerID",
    "item_column": "asin",
    "rating_column": "overall",
    "time_column": "unixReviewTime",
    "attribute_columns": ("brand", "categories"),
}


def source(folder: Path, lines: list[str] | None = None, **data: object) -> FilesSource:
    events, items = folder / "reviews.json.gz", folder / "meta.json"
    events.write_bytes(gzip.compress("\n".join(lines or map(repr, EVENTS)).encode()))
    items.write_text("\n".join(map(repr, ITEMS)), encoding="utf-8")
    paths = {"interactions_path": str(events), "items_path": str(items)}
    return FilesSource(DataSettings(source="files", **(paths | MAPPING | data)))


class TestLiterals(SourceContract):
    """Each law of the contract."""

    @pytest.fixture
    def opened(self, tmp_path: Path) -> FilesSource:
        return source(tmp_path)


def test_they_are_read_as_what_they_say(tmp_path: Path) -> None:
    found = source(tmp_path)
    assert all_rows(found).row(1) == (2, "A1", "B1", 2.0, 1_252_803_600, None, False)
    first = found.items().row(0, named=True)
    assert first["title"] == "Girls' thing 0"
    assert [each["value"] for each in first["attributes"]] == [
        *("Coxlures", "Sports", "Sports > Dance", "Ünï")
    ]


BROKEN = {
    "cut off": "{'reviewerID': 'A1', 'asin': 'B",
    "a call": "{'reviewerID': 'A1', 'asin': __import__('os').abort()}",
    "deep": "{'reviewerID': " + "-" * 200_000 + "1}",
    "brackets": "{'reviewerID': " + "[" * 200_000,
    "no dict": "['A1', 'B1']",
    "odd keys": "{1: 'A1', ('a', 2): 'B1'}",
    "too long": "{'reviewerID': 'A1', 'asin': '" + "B" * 1_000_001 + "'}",
    "a null byte": "{'reviewerID': 'A\0'}",
    "no key": "{{}: 1}",
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_line_that_is_no_dict_of_literals_goes_into_quarantine(tmp_path: Path, name: str) -> None:
    lines = [*map(repr, EVENTS)]
    lines[5] = BROKEN[name]
    found = source(tmp_path, lines)
    assert all_rows(found).height == 59
    assert set(all_quarantined(found)["row"]) == {6}
    with pytest.raises(DataError, match=r"reviews\.json\.gz, data row 6 \(line 6\)"):
        all_rows(source(tmp_path, lines, most_bad_share=0.0))


def test_odd_values_are_text(tmp_path: Path) -> None:
    path = tmp_path / "odd.json"
    path.write_text(
        "{'a': (1, None), 'b': True}\n\n{'a': '\\ud800', 'b': None}\n{'a': b'x', 'b': {1, }}\n"
        "{'a': '\\d', 'b': 1e999}\n",
        encoding="utf-8",
    )
    assert columns_of(path, "x") == ["a", "b"]
    assert rows_of(path, ["a", "b"], "x").rows() == [
        ("[1, null]", "true"),
        ("?", None),
        ("\"b'x'\"", '"{1}"'),
        ("\\d", "Infinity"),
    ]


def test_a_file_of_json_with_a_broken_first_line_stays_json(tmp_path: Path) -> None:
    path = tmp_path / "events.json"
    path.write_text("{'a': 1}\n" + '{"a": null}\n{"a": true}\n', encoding="utf-8")
    assert rows_of(path, ["a"], "x")["a"].to_list() == [None, None, "true"]


def test_init_drafts_a_profile_for_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source(tmp_path)
    draft = tmp_path / "own.toml"
    files = [str(tmp_path / "meta.json"), str(tmp_path / "reviews.json.gz")]
    assert main(["init", *files, "--to", str(draft), "--extends", "smoke"]) == 0
    data = load_profile(str(draft)).data
    assert {name: getattr(data, name) for name in MAPPING} == MAPPING
    assert main(["data", "check", "--profile", str(draft)]) == 0
    assert "Ada Brook" not in capsys.readouterr().out
