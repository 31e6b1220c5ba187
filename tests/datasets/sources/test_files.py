"""Your own two files: what is read, and the errors that say where and how to fix."""

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curec_assets.datasets import schema
from curec_assets.datasets.sources.files import FilesSource
from curec_assets.settings import DataSettings
from resources.errors import DataError
from resources.models.downloads import Downloads
from tests.support.reading import all_quarantined, all_rows
from tests.support.source_contract import SourceContract

INTERACTIONS = "user_id,item_id,rating,timestamp\nann,x1,4.5,1700000000\nbob,x2,2,1700000001.9\n"
ITEMS = 'item_id,title,genres,brand\nx1,Heat,"Action,Crime",\nx2,Rose,Drama,Acme\n'


def source(
    folder: Path,
    interactions: str | pl.DataFrame = INTERACTIONS,
    items: str | pl.DataFrame = ITEMS,
    **settings: Any,
) -> FilesSource:
    paths = [
        write(folder, "interactions", interactions),
        write(folder, "items", items),
    ]
    files = {"interactions_path": str(paths[0]), "items_path": str(paths[1])}
    return FilesSource(DataSettings(source="files", **files, **settings))


def write(folder: Path, name: str, content: str | pl.DataFrame) -> Path:
    if isinstance(content, str):
        path = folder / f"{name}.csv"
        path.write_text(content, encoding="utf-8")
    else:
        path = folder / f"{name}.parquet"
        content.write_parquet(path)
    return path


def refused(source: FilesSource, table: str = "interactions") -> str:
    with pytest.raises(DataError) as error:
        source.items() if table == "items" else all_rows(source)
    return str(error.value)


class TestFiles(SourceContract):
    """Each law of the contract."""

    @pytest.fixture
    def opened(self, tmp_path: Path) -> FilesSource:
        return source(tmp_path, attribute_columns=("genres", "brand"))


def test_two_csv_files(tmp_path: Path) -> None:
    found = source(tmp_path, attribute_columns=("genres", "brand"))
    events, items = all_rows(found), found.items()
    assert events.rows() == [
        (1, "ann", "x1", 4.5, 1_700_000_000, None, False),
        (2, "bob", "x2", 2.0, 1_700_000_001, None, False),
    ]
    assert items["attributes"].to_list() == [
        [{"kind": "genre", "value": "Action"}, {"kind": "genre", "value": "Crime"}],
        [{"kind": "genre", "value": "Drama"}, {"kind": "brand", "value": "Acme"}],
    ]


def test_of_a_review_only_its_opinions_are_read(tmp_path: Path) -> None:
    rows = (
        "user_id,item_id,rating,timestamp,summary,body\n"
        'ann,x1,5,1700000000,Great story,"The ending was\nboring. Mail ann@example.org"\n'
        "bob,x2,1,1700000001,,\n"
    )
    found = source(tmp_path, rows, review_columns=("summary", "body"))
    assert all_rows(found)["opinions"].to_list() == ["-ending +story", None]
    plain = source(tmp_path, rows)
    assert all_rows(plain)["opinions"].to_list() == [None, None]
    assert found.interactions_fingerprint() != plain.interactions_fingerprint()
    said = refused(source(tmp_path, rows, review_columns=("summary", "text")))
    assert "no column 'text', which data.review_columns names" in said


def test_parquet_with_a_mapping(tmp_path: Path) -> None:
    moment = datetime(2024, 5, 1, 12, tzinfo=UTC)
    events = pl.DataFrame({"who": [7, 8], "what": [1, 2], "ok": [True, False], "at": [moment] * 2})
    items = pl.DataFrame(
        {"what": [1, 2], "name": ["A", None], "tags": [["x", "y"], None], "year": [1999, None]}
    )
    found = source(
        tmp_path,
        events,
        items,
        user_column="who",
        item_column="what",
        rating_column="ok",
        time_column="at",
        title_column="name",
        attribute_columns=("tags",),
    )
    assert all_rows(found).drop("row", "opinions", "deleted").rows() == [
        ("7", "1", 1.0, int(moment.timestamp())),
        ("8", "2", 0.0, int(moment.timestamp())),
    ]
    rows = found.items().rows(named=True)
    assert rows[0]["attributes"] == [
        {"kind": "tags", "value": "x"},
        {"kind": "tags", "value": "y"},
    ]
    assert (rows[0]["year"], rows[1]["title"], rows[1]["attributes"]) == (1999, None, [])


@pytest.mark.parametrize(
    ("cell", "seconds"),
    [
        ("1700000000", 1_700_000_000),
        ("2024-05-01", 1_714_521_600),
        ("2024-05-01T02:00:00+02:00", 1_714_521_600),
        ("2024-05-01 00:00:00.75", 1_714_521_600),
        ("2024-05-01T00:00:00Z", 1_714_521_600),
        ("-1.5", -2),
    ],
)
def test_times(tmp_path: Path, cell: str, seconds: int) -> None:
    events = f"user_id,item_id,rating,timestamp\nu,i,1,{cell}\n"
    opened = source(tmp_path, events, earliest_time=date(1960, 1, 1))
    assert all_rows(opened)["timestamp"].to_list() == [seconds]


@pytest.mark.parametrize(
    "times",
    [
        [date(2024, 5, 1)],
        [datetime(2024, 5, 1)],
        [datetime(2024, 5, 1, tzinfo=UTC)],
        [1_714_521_600],
        [1_714_521_600.5],
    ],
)
def test_times_in_parquet(tmp_path: Path, times: list[Any]) -> None:
    events = pl.DataFrame({"user_id": ["u"], "item_id": ["i"], "rating": [1], "timestamp": times})
    assert all_rows(source(tmp_path, events))["timestamp"].to_list() == [1_714_521_600]


@pytest.mark.parametrize(
    ("rows", "parts"),
    [
        (["u,i,1,1700000000", "u,i,1,soon"], ["data row 2 (line 3)", "'timestamp'", "'soon'"]),
        (["u,i,1,1700000000", "u,i,1,"], ["data row 2 (line 3)", "found nothing", "ISO 8601"]),
        (["u,i,1,2024-05-01"] * 2 + ["u,i,1,17"], ["data row 3", "'17'", "one form"]),
        (["u,i,1,1700000000123"], ["looks like 'ms'", "set data.time_unit"]),
        (["u,i,good,1"], ["data row 1 (line 2)", "'rating'", "'good'", "a number"]),
        (["u,i,true,1", "u,i,3,1"], ["'rating'", "'true'"]),
        (["u,i,,1"], ["'rating'", "found nothing"]),
        (["u,i,nan,1"], ["'rating'", "'nan'"]),
        (["u,i,1,1", ",i,1,1"], ["data row 2 (line 3)", "'user_id'", "expected an id"]),
        (["u, ,1,1"], ["data row 1 (line 2)", "'item_id'", "expected an id"]),
        ([], ["no data row"]),
    ],
)
def test_a_bad_cell_is_named(tmp_path: Path, rows: list[str], parts: list[str]) -> None:
    message = refused(source(tmp_path, "\n".join(["user_id,item_id,rating,timestamp", *rows])))
    assert "interactions.csv" in message
    for part in parts:
        assert part in message


def test_a_few_bad_rows_go_into_quarantine_and_the_others_are_read(tmp_path: Path) -> None:
    good = [f"u{number},i,3,{1_700_000_000 + number}" for number in range(96)]
    bad = ["u,i,three,1700000000", "u,i,3,5", ",i,3,1700000000", "u,i,nan,4102444800"]
    rows = [*good[:50], *bad, *good[50:]]
    opened = source(tmp_path, "\n".join(["user_id,item_id,rating,timestamp", *rows]))
    events = all_rows(opened)
    assert events["user_id"].to_list() == [f"u{number}" for number in range(96)]
    assert events["row"].to_list() == [*range(1, 51), *range(55, 101)]
    found = all_quarantined(opened)
    assert found.schema == schema.QUARANTINE
    assert found.select("row", "column", "value").rows() == [
        (51, "rating", "three"),
        (52, "timestamp", "5"),
        (53, "user_id", None),
        (54, "rating", "nan"),
        (54, "timestamp", "4102444800"),
    ]
    assert set(found["file"]) == {"interactions.csv"}
    [early] = found.filter(row=52)["reason"]
    assert early.startswith("expected a time from 1990-01-01 to 20")


def test_too_many_bad_rows_refuse_the_file(tmp_path: Path) -> None:
    rows = ["u,i,3,1700000000"] * 8 + ["u,i,x,1700000000"] * 2
    text = "\n".join(["user_id,item_id,rating,timestamp", *rows])
    message = refused(source(tmp_path, text))
    for part in ("data row 9 (line 10)", "2 of 10 rows", "data.most_bad_share = 0.05"):
        assert part in message
    assert all_rows(source(tmp_path, text, most_bad_share=0.2)).height == 8


@pytest.mark.parametrize(
    ("column", "values", "part"),
    [
        ("user_id", [1.5], "a whole number"),
        ("user_id", [[1]], "expected ids"),
        ("rating", [date(2024, 5, 1)], "expected a number"),
        ("timestamp", [True], "expected Unix seconds"),
        ("timestamp", pl.Series([None], dtype=pl.Date), "a time"),
    ],
)
def test_a_bad_parquet_column_is_named(tmp_path: Path, column: str, values: Any, part: str) -> None:
    good = {"user_id": ["u"], "item_id": ["i"], "rating": [1.0], "timestamp": [5]}
    message = refused(source(tmp_path, pl.DataFrame({**good, column: values})))
    assert f"'{column}'" in message.replace('"', "'") and part in message


def test_whole_floats_are_ids(tmp_path: Path) -> None:
    events = pl.DataFrame(
        {"user_id": [1.0], "item_id": [2], "rating": [1.0], "timestamp": [1_700_000_000]}
    )
    assert all_rows(source(tmp_path, events))["user_id"].to_list() == ["1"]


def test_a_line_is_not_named_where_rows_span_lines(tmp_path: Path) -> None:
    events = 'user_id,item_id,rating,timestamp\n"a\nb",i,1,1\nu,i,x,1\n'
    message = refused(source(tmp_path, events))
    assert "data row 2, column 'rating'" in message


@pytest.mark.parametrize("table", ["interactions", "items"])
def test_a_missing_column_is_named_with_those_there(tmp_path: Path, table: str) -> None:
    message = refused(source(tmp_path, "who,rating\nu,1\n", "who,rating\nu,1\n"), table)
    for part in (f"{table}.csv", "has no column", "'who', 'rating'", "data."):
        assert part in message


@pytest.mark.parametrize("table", ["interactions", "items"])
def test_a_missing_file_is_named(tmp_path: Path, table: str) -> None:
    found = source(tmp_path)
    (tmp_path / f"{table}.csv").unlink()
    message = refused(found, table)
    assert f"{table}.csv" in message and f"data.{table}_path" in message
    with pytest.raises(DataError, match="does not exist"):
        getattr(found, f"{table}_fingerprint")()


def test_a_repeated_item_id_is_named(tmp_path: Path) -> None:
    message = refused(source(tmp_path, items="item_id,title\nx,A\ny,B\nx,C\n"), "items")
    for part in ("data row 3 (line 4)", "'x' a second time", "first in data row 1"):
        assert part in message


@pytest.mark.parametrize(
    ("content", "part"),
    [("", "empty"), ("user_id,item_id,rating,timestamp\n1,2,3,4,5\n", "cannot be read as CSV")],
)
def test_an_unreadable_file_is_named(tmp_path: Path, content: str, part: str) -> None:
    message = refused(source(tmp_path, content))
    assert "interactions.csv" in message and part in message


def test_a_pattern_names_some_files_of_a_folder(tmp_path: Path) -> None:
    rows = "user_id,item_id,rating,timestamp\nu{},x,5,1700000000\n"
    for name in ("part-1.csv", "part-2.csv", "other.csv", "part-3.txt", ".part-4.csv"):
        (tmp_path / name).write_text(rows.format(name[5]), encoding="utf-8")
        (tmp_path / f"{name}.done").touch()

    def of(path: Path) -> FilesSource:
        return FilesSource(DataSettings(source="files", interactions_path=str(path)))

    found = of(tmp_path / "part-*.csv")
    assert list(found.files()) == ["part-1.csv", "part-2.csv"]
    assert not found.whole and all_rows(found).height == 2
    assert found.vouched_for("part-1.csv")
    with pytest.raises(DataError, match="a pattern of their names"):
        of(tmp_path / "nowhere" / "part-*.csv").files()


def test_an_unknown_ending_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "events.xlsx"
    path.write_bytes(b"PK")
    found = FilesSource(
        DataSettings(source="files", interactions_path=str(path), items_path=str(path))
    )
    assert "expected .csv, .tsv, .jsonl, .ndjson, .json, .parquet" in refused(found)


def test_damaged_parquet_is_an_error(tmp_path: Path) -> None:
    found = source(tmp_path, pl.DataFrame({"a": [1]}))
    (tmp_path / "interactions.parquet").write_bytes(b"not parquet")
    assert "cannot be read as PARQUET" in refused(found)


@pytest.mark.parametrize("setting", ["attribute_columns", "text_columns"])
def test_a_missing_item_column_is_named(tmp_path: Path, setting: str) -> None:
    message = refused(source(tmp_path, **{setting: ("colour",)}), "items")
    assert "'colour'" in message and f"data.{setting}" in message


def test_attributes_and_prose_are_what_the_settings_name(tmp_path: Path) -> None:
    items = 'item_id,title,colour,about,more,made\n1,A,red|blue,"Mild,\nlight.",So.,2001\n2,B,,,,\n'
    found = source(
        tmp_path,
        items=items,
        attribute_columns=("colour",),
        attribute_separator="|",
        text_columns=("about", "more"),
        year_column="made",
    ).items()
    first, second = found.rows(named=True)
    assert first["attributes"] == [
        {"kind": "colour", "value": "red"},
        {"kind": "colour", "value": "blue"},
    ]
    assert (first["description"], first["year"]) == ("Mild, light. So.", 2001)
    assert (second["attributes"], second["description"], second["year"]) == ([], None, None)


@given(st.lists(st.text(min_size=1), min_size=2, max_size=2))
def test_a_column_that_no_setting_names_leaves_no_trace(
    tmp_path_factory: pytest.TempPathFactory, cells: list[str]
) -> None:
    items = pl.DataFrame({"item_id": ["x1", "x2"], "title": ["A", "B"], "genres": ["x", "y"]})
    more = items.with_columns(mail=pl.Series(cells))
    settings = {"attribute_columns": ("genres",)}
    plain, found = (
        source(tmp_path_factory.mktemp("files"), items=each, **settings).items()
        for each in (items, more)
    )
    assert found.equals(plain)


def test_where_only_titles_are_read_it_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source(tmp_path).items()
    (said,) = caplog.messages
    assert "'genres', 'brand'" in said and "data.attribute_columns" in said


def test_an_attribute_that_looks_personal_is_refused_until_confirmed(tmp_path: Path) -> None:
    items = "item_id,title,who\n1,A,Ada Brook\n2,B,Ben Castle\n3,C,none\n"
    message = refused(source(tmp_path, items=items, attribute_columns=("who",)), "items")
    for part in (
        *("items.csv, data row 1 (line 2)", "'who'", "a personal name", "2 of 3"),
        *("data.attribute_columns", "data.confirmed_columns"),
    ):
        assert part in message
    assert "Ada" not in message, "the message is stored, and so would be the name"
    confirmed = {"attribute_columns": ("who",), "confirmed_columns": ("who",)}
    found = source(tmp_path, items=items, **confirmed).items()
    assert found["attributes"][0].to_list() == [{"kind": "who", "value": "Ada Brook"}]


def test_fingerprints_follow_content_and_mapping(tmp_path: Path) -> None:
    found = source(tmp_path)
    first = found.interactions_fingerprint()
    assert first == source(tmp_path).interactions_fingerprint()
    assert first != source(tmp_path, rating_column="item_id").interactions_fingerprint()
    named = {"attribute_columns": ("brand",)}
    mappings = [
        {},
        named,
        {"text_columns": ("brand",)},
        {**named, "confirmed_columns": ("brand",)},
        {"year_column": "brand"},
    ]
    of_items = [source(tmp_path, **mapping).items_fingerprint() for mapping in mappings]
    assert all(of_items.count(each) == 1 for each in of_items)
    assert first != source(tmp_path, INTERACTIONS + "u,x1,3,1\n").interactions_fingerprint()
    assert (
        found.items_fingerprint() != source(tmp_path, items=ITEMS + "x9,A,,\n").items_fingerprint()
    )


def test_the_settings_choose_the_source(tmp_path: Path) -> None:
    from curec_assets.datasets.sources.movielens import MovieLensSource
    from curec_assets.datasets.sources.source import open_source
    from curec_assets.datasets.sources.toy import ToySource

    downloads = Downloads(cache_dir=str(tmp_path))
    kinds = {"toy": ToySource, "files": FilesSource, "movielens-100k": MovieLensSource}
    for name, kind in kinds.items():
        assert isinstance(open_source(DataSettings(source=name), downloads, 1), kind)  # type: ignore[arg-type]


def test_ids_that_look_alike_are_refused_by_name_and_unseen_characters_go(tmp_path: Path) -> None:
    header = "user_id,item_id,rating,timestamp\n"
    row = "{},i,1,1700000000\n"
    hidden = source(tmp_path, header + row.format("a\u200bb"))
    assert all_rows(hidden)["user_id"].to_list() == ["ab"]
    both = source(tmp_path, header + row.format("a\u200bb") + row.format("ab"))
    message = refused(both)
    assert "'a\\u200bb' and 'ab'" in message and "'user_id'" in message
    items = "item_id,title\ncaf\u00e9,A\ncafe\u0301,B\n"
    assert "differ in nothing that can be seen" in refused(source(tmp_path, items=items), "items")
