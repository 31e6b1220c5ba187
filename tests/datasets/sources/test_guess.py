"""`curec init`, `curec data check`: from files of unknown columns to a profile that reads them."""

import gzip
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from curec_assets.cli.app import main
from curec_assets.datasets.sources.files import FilesSource
from curec_assets.datasets.sources.guess import guess
from curec_assets.settings import load_profile
from resources.errors import DataError
from tests.support.reading import all_rows

START = 1_500_000_000
ROWS = [(n % 40, n * 7 % 25, 1 + n % 5, START + 3_600 * n) for n in range(600)]


@dataclass(frozen=True)
class Shape:
    """Files as somebody has them, and what is to be found out."""

    events: dict[str, list[Any]]
    ending: str
    expected: dict[str, Any]
    items: tuple[str, pl.DataFrame] | None = None
    separator: str = ""


NAMES = [f"Item number {n}" for n in range(25)]
SHAPES = {
    "clicks": Shape(
        {
            "visitor": [row[0] for row in ROWS],
            "sku": [row[1] for row in ROWS],
            "clicked_at": [row[3] for row in ROWS],
        },
        ".csv",
        {"user_column": "visitor", "item_column": "sku", "feedback": "implicit"},
    ),
    "MovieLens": Shape(
        {
            "userId": [row[0] for row in ROWS],
            "movieId": [row[1] for row in ROWS],
            "rating": [row[2] - 0.5 for row in ROWS],
            "timestamp": [row[3] for row in ROWS],
        },
        ".csv",
        {"user_column": "userId", "item_column": "movieId", "liked_threshold": 4.0}
        | {"title_column": "title", "attribute_columns": ("genres",)},
        (
            ".csv",
            pl.DataFrame(
                {
                    "movieId": range(25),
                    "title": NAMES,
                    "genres": ["drama,war", "comedy"] * 12 + [""],
                }
            ),
        ),
    ),
    "MovieLens 1M": Shape(
        {
            "user_id": [row[0] for row in ROWS],
            "item_id": [row[1] for row in ROWS],
            "rating": [row[2] for row in ROWS],
            "timestamp": [row[3] for row in ROWS],
        },
        ".dat",
        {"user_column": "user_id", "attribute_columns": ("genres",), "attribute_separator": "|"},
        (
            ".dat",
            pl.DataFrame(
                {
                    "item_id": range(25),
                    "title": [f"{name} (1995)" for name in NAMES],
                    "genres": ["Action|Children's", "Drama"] * 12 + ["Drama"],
                }
            ),
        ),
    ),
    "Amazon 2018": Shape(
        {
            "overall": [float(row[2]) for row in ROWS],
            "reviewTime": ["02 26, 2014"] * len(ROWS),
            "reviewerID": [f"A{row[0]}" for row in ROWS],
            "asin": [f"B{row[1]:03}" for row in ROWS],
            "reviewerName": ["Ada Brook"] * len(ROWS),
            "summary": ["Five stars"] * len(ROWS),
            "reviewText": ["Great articles."] * len(ROWS),
            "unixReviewTime": [row[3] for row in ROWS],
        },
        ".json.gz",
        {"user_column": "reviewerID", "item_column": "asin", "rating_column": "overall"}
        | {"time_column": "unixReviewTime", "time_unit": "s", "attribute_columns": ("category",)}
        | {"review_columns": ("summary", "reviewText")},
        (
            ".json.gz",
            pl.DataFrame(
                {
                    "category": [["Magazines", "Science"]] * 25,
                    "description": [["About something."]] * 25,
                    "title": NAMES,
                    "asin": [f"B{n:03}" for n in range(25)],
                }
            ),
        ),
    ),
    "Amazon 2023": Shape(
        {
            "rating": [float(row[2]) for row in ROWS],
            "title": ["A review"] * len(ROWS),
            "text": ["It smells."] * len(ROWS),
            "asin": ["variant"] * len(ROWS),
            "parent_asin": [f"B{row[1]:03}" for row in ROWS],
            "user_id": [f"A{row[0]}" for row in ROWS],
            "timestamp": [row[3] * 1000 + 7 for row in ROWS],
        },
        ".jsonl",
        {"item_column": "parent_asin", "time_unit": "ms", "items_path": ""}
        | {"review_columns": ("title", "text")},
    ),
    "a shop": Shape(
        {
            "Customer ID": [f"c{row[0]}" for row in ROWS],
            "Product-ID": [f"p{row[1]}" for row in ROWS],
            "Liked?": ["yes" if row[2] > 3 else "no" for row in ROWS],
            "created_at": [f"2024-{1 + n // 60:02}-{1 + n % 28:02}" for n in range(len(ROWS))],
        },
        ".csv",
        {"user_column": "Customer ID", "rating_column": "Liked?", "liked_threshold": 0.5},
        (
            ".csv",
            pl.DataFrame(
                {
                    "Product-ID": [f"p{n}" for n in range(25)],
                    "Product Name": NAMES,
                    "Brand": ["ACME", "Zonk"] * 12 + ["ACME"],
                }
            ),
        ),
        ";",
    ),
}


def written(folder: Path, name: str, ending: str, rows: pl.DataFrame, separator: str) -> Path:
    path = folder / f"{name}{ending}"
    if ending == ".dat":
        lines = ["::".join(map(str, row)) for row in rows.rows()]
        path.write_bytes("\n".join(lines).encode("latin-1"))
        return path
    text = rows.write_csv(separator=separator or ",") if "csv" in ending else rows.write_ndjson()
    path.write_bytes(gzip.compress(text.encode()) if ending.endswith(".gz") else text.encode())
    return path


@pytest.mark.parametrize("name", SHAPES)
def test_two_files_of_unknown_columns_are_read_by_what_is_drafted(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shape = SHAPES[name]
    events = pl.DataFrame(shape.events)
    files = [written(tmp_path, "events", shape.ending, events, shape.separator)]
    if shape.items:
        files.insert(0, written(tmp_path, "things", *shape.items, shape.separator))
    draft = tmp_path / "own.toml"
    options = ["--to", str(draft), "--extends", "smoke", "--separator", shape.separator]
    assert main(["init", *map(str, files), *options]) == 0
    data = load_profile(str(draft)).data
    assert {key: getattr(data, key) for key in shape.expected} == shape.expected
    rows = all_rows(FilesSource(data))
    assert rows.height == events.height
    if "created_at" not in shape.events:
        assert sorted(rows["timestamp"]) == [row[3] for row in ROWS]
    capsys.readouterr()
    assert main(["data", "check", "--profile", str(draft)]) == 0
    said = capsys.readouterr().out
    for part in ("600", "40, with 15 events", "25 met of 25", "480 train"):
        assert part in said
    assert main(["init", *map(str, files), *options]) == 1
    assert "is there already" in capsys.readouterr().err


def test_what_is_unsure_is_said(tmp_path: Path) -> None:
    events = written(
        tmp_path,
        "events",
        ".jsonl",
        pl.DataFrame(
            {"user": ["a"] * 50, "item": ["x"] * 50, "time": [START] * 50, "score": [9] * 50}
        ),
        "",
    )
    items = tmp_path / "items.jsonl"
    rows = [{"id": f"y{n}", "director": f"Ada Brook{'e' * n}", "text": "prose"} for n in range(9)]
    items.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    said = "\n".join(guess([events, items]).doubts)
    for part in (
        "1 different times in 50 rows",
        "100% of the events would be liked (score >= 7)",
        "0% of the events' items are in items.jsonl",
        "no column of items.jsonl looks like a title",
        "'director' of items.jsonl looks like a personal name and is left out",
        "no column looks like an attribute",
    ):
        assert part in said
    with pytest.raises(DataError, match=r"look like user, item and time: items.jsonl has 'id'"):
        guess([items])


def test_a_door_report_says_what_cannot_carry_the_method(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    events = pl.DataFrame(
        {"user_id": ["u", "v"] * 4, "item_id": list("abcdefgh"), "rating": 5, "timestamp": START}
    )
    events.write_csv(tmp_path / "events.csv")
    (tmp_path / "own.toml").write_text(
        'extends = "smoke"\ndata = { source = "files", interactions_path = "events.csv" }\n'
    )
    assert main(["data", "check", "--profile", str(tmp_path / "own.toml")]) == 0
    said = capsys.readouterr().out
    for part in (
        *("8 events are few", "2 users are few", "100.0% liked is one-sided", "Use finer times"),
        *("100% of the items were met once", "found 1 distinct times", "no item has an attribute"),
    ):
        assert part in said


def test_settings_are_shown_with_where_they_come_from(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = tmp_path / "own.toml"
    own.write_text('extends = "smoke"\nseed = 5\nreasons = { run_length = 9 }\n')
    assert main(["config", "show", "--profile", str(own)]) == 0
    said = capsys.readouterr().out
    for part in (
        f"seed = 5  # {own}",
        f"reasons.run_length = 9  # {own}",
        "reasons.train_events = 8  # profile smoke",
        "data.max_history = 50  # default",
    ):
        assert part in said
