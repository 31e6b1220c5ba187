"""Files in every form: the same rows, whatever they are written as; and what is wrong is said."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from curec_assets.datasets.sources import formats
from curec_assets.datasets.sources.files import FilesSource
from curec_assets.datasets.sources.formats import ENDINGS, columns_of, form_of, rows_of
from curec_assets.settings import DataSettings
from resources.errors import DataError
from tests.support.reading import all_quarantined, all_rows

EVENTS = pl.DataFrame(
    {
        "user_id": ["ann", "bob", "ünï", 'q"uote'],
        "item_id": ["x1", "x2", "x1", "x2"],
        "rating": [4.5, 2.0, 3.0, 1.0],
        "timestamp": [1_700_000_000 + n for n in range(4)],
        "secret": ["a@b.org"] * 4,
    }
)
ITEMS = [
    {"item_id": "x1", "title": "Heat", "genres": ["Action", "Crime"], "year": 1995},
    {"item_id": "x2", "title": "Rose", "genres": ["Drama"], "year": None},
]
# Those that have a header; `.dat` has columns of its own (`test_movielens_files`).
HEADED = [ending for ending in ENDINGS if ending != ".dat"]
FORMS = [*HEADED, *(f"{ending}.gz" for ending in HEADED if ending != ".parquet")]


def write(path: Path, rows: pl.DataFrame) -> Path:
    """In the form that the name says."""
    plain = path.name.removesuffix(".gz")
    if plain.endswith(".parquet"):
        rows.write_parquet(path)
        return path
    if plain.endswith((".inter", ".item")):
        text = _atomic(rows)
    elif plain.endswith(("csv", "tsv")):
        text = rows.write_csv(separator="\t" if plain.endswith("tsv") else ",")
    else:
        text = rows.write_ndjson()
    content = text.encode()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def _atomic(rows: pl.DataFrame) -> str:
    """As RecBole writes it."""
    kinds = {
        name: "float" if dtype.is_numeric() else "token" for name, dtype in rows.schema.items()
    }
    lines = ["\t".join(map(str, row)) for row in rows.rows()]
    return "\n".join(["\t".join(f"{name}:{kind}" for name, kind in kinds.items()), *lines, ""])


def source(
    folder: Path, interactions: Path, items: Path | None = None, **data: object
) -> FilesSource:
    if items is None:
        items = folder / "items.jsonl"
        items.write_text("\n".join(map(json.dumps, ITEMS)), encoding="utf-8")
    paths = {"interactions_path": str(interactions), "items_path": str(items)}
    return FilesSource(DataSettings(source="files", **paths, **data))


def refused(read: Callable[[], object]) -> str:
    with pytest.raises(DataError) as error:
        read()
    return str(error.value)


@pytest.mark.parametrize("form", FORMS)
def test_the_same_rows_whatever_they_are_written_as(tmp_path: Path, form: str) -> None:
    path = write(tmp_path / f"events{form}", EVENTS)
    assert form_of(path) == form.removesuffix(".gz")
    assert columns_of(path, "x") == EVENTS.columns
    rows = all_rows(source(tmp_path, path))
    assert rows.select(EVENTS.columns[:-1]).rows() == EVENTS.drop("secret").rows()


@pytest.mark.parametrize("form", [each for each in FORMS if "json" in each])
def test_lists_in_json_are_attributes(tmp_path: Path, form: str) -> None:
    items = write(tmp_path / f"items{form}", pl.DataFrame(ITEMS))
    events = write(tmp_path / "events.csv", EVENTS)
    found = source(tmp_path, events, items, attribute_columns=("genres",)).items()
    assert found["attributes"].to_list() == [
        [{"kind": "genre", "value": value} for value in item["genres"]] for item in ITEMS
    ]
    assert found["year"].to_list() == [1995, None]


def test_a_column_that_nothing_names_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    odd = ['{"a": 1, "b": {"c": [1, {}]}}', '{"a": "two", "b": 7}', "", '{"b": 1}']
    path.write_text("\n".join(odd), encoding="utf-8")
    assert rows_of(path, ["a"], "x").rows() == [("1",), ("two",), (None,)]


def test_lines_that_several_cores_read_stay_in_their_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(formats, "_LONGEST_LINE", 10_000)  # so that the file is read in parts
    path = tmp_path / "events.jsonl"
    pl.DataFrame({"a": range(2_000_000), "b": "and so on"}).write_ndjson(path)
    found = rows_of(path, ["a", "b"], "x")["a"].cast(pl.Int64)
    assert found.equals(pl.int_range(2_000_000, eager=True).alias("a"))


def test_a_line_that_is_no_json_goes_into_quarantine(tmp_path: Path) -> None:
    lines = EVENTS.write_ndjson().splitlines() * 10
    lines[5] = '{"user_id": "ann",, }'
    path = tmp_path / "events.jsonl"
    path.write_text("\n".join(lines), encoding="utf-8")
    found = source(tmp_path, path)
    assert all_rows(found).height == 39
    assert set(all_quarantined(found)["row"]) == {6}
    message = refused(lambda: all_rows(source(tmp_path, path, most_bad_share=0.0)))
    assert "events.jsonl, data row 6 (line 6)" in message


@pytest.mark.parametrize("form", [each for each in FORMS if each.endswith(".gz")])
def test_a_truncated_file_is_refused_by_name(tmp_path: Path, form: str) -> None:
    path = write(tmp_path / f"events{form}", pl.concat([EVENTS] * 500))
    path.write_bytes(path.read_bytes()[:-40])
    message = refused(lambda: all_rows(source(tmp_path, path)))
    assert f"events{form} cannot be read as" in message


@pytest.mark.parametrize("form", [".csv", ".jsonl"])
def test_another_encoding_is_refused_by_name(tmp_path: Path, form: str) -> None:
    path = write(tmp_path / f"events{form}", EVENTS)
    path.write_bytes(path.read_text("utf-8").encode("latin-1"))
    message = refused(lambda: all_rows(source(tmp_path, path, most_bad_share=0.0)))
    assert f"events{form}" in message


def test_an_array_is_no_json_lines(tmp_path: Path) -> None:
    path = tmp_path / "events.json"
    path.write_text(json.dumps(EVENTS.to_dicts()), encoding="utf-8")
    assert "expected one a line (JSON lines)" in refused(lambda: all_rows(source(tmp_path, path)))


def test_another_separator_is_named_and_set(tmp_path: Path) -> None:
    path = tmp_path / "events.csv"
    path.write_text(EVENTS.write_csv(separator=";"), encoding="utf-8")
    assert "set data.csv_separator" in refused(lambda: all_rows(source(tmp_path, path)))
    assert all_rows(source(tmp_path, path, csv_separator=";")).height == EVENTS.height


@pytest.mark.parametrize("form", [".csv", ".jsonl", ".parquet"])
@pytest.mark.parametrize(("unit", "parts"), [("ms", 1_000), ("us", 1_000_000)])
def test_times_in_another_unit_are_read_when_it_is_declared(
    tmp_path: Path, form: str, unit: str, parts: int
) -> None:
    rows = EVENTS.with_columns(pl.col("timestamp") * parts + parts - 1)
    path = write(tmp_path / f"events{form}", rows)
    found = all_rows(source(tmp_path, path, time_unit=unit))
    assert found["timestamp"].to_list() == EVENTS["timestamp"].to_list()
    message = refused(lambda: all_rows(source(tmp_path, path)))
    assert f"It looks like '{unit}': set data.time_unit" in message
    in_seconds = write(tmp_path / f"seconds{form}", EVENTS)
    message = refused(lambda: all_rows(source(tmp_path, in_seconds, time_unit=unit)))
    assert "It looks like 's': set data.time_unit" in message


def test_without_a_file_of_items_they_are_what_events_name(tmp_path: Path) -> None:
    path = write(tmp_path / "events.csv", EVENTS)
    found = FilesSource(DataSettings(source="files", interactions_path=str(path)))
    assert found.items()["item_id"].to_list() == ["x1", "x2"]
    assert found.items()["title"].null_count() == 2
    before = found.items_fingerprint()
    write(tmp_path / "events.csv", EVENTS.with_columns(item_id=pl.lit("x3")))
    later = FilesSource(DataSettings(source="files", interactions_path=str(path)))
    assert later.items_fingerprint() != before


def test_a_title_that_is_markup_is_missing(tmp_path: Path) -> None:
    items = tmp_path / "items.jsonl"
    titles = ['<span class="a-size-medium"', "<b>", "<3 Love", "Heat"]
    rows = [{"item_id": f"x{n}", "title": title} for n, title in enumerate(titles)]
    items.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    found = source(tmp_path, write(tmp_path / "events.csv", EVENTS), items).items()
    assert found["title"].to_list() == [None, None, "<3 Love", "Heat"]


@pytest.mark.parametrize("form", [".csv", ".jsonl", ".parquet"])
def test_items_that_are_said_twice_alike_are_one(tmp_path: Path, form: str) -> None:
    rows = pl.DataFrame([*ITEMS, ITEMS[0]])
    if form == ".csv":
        rows = rows.with_columns(pl.col("genres").list.join(","))
    items = write(tmp_path / f"items{form}", rows)
    events = write(tmp_path / "events.csv", EVENTS)
    found = source(tmp_path, events, items, attribute_columns=("genres",)).items()
    assert found["title"].to_list() == ["Heat", "Rose"]
    assert [len(each) for each in found["attributes"]] == [2, 1]
