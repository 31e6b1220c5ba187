"""`make bench-ingest`: a million reviews from a file of JSON lines to the ledger; beside it DuckDB.

Made-up reviews of Amazon's release of 2023, texts and all. CURec reads the file into `events`, by
Dagster: ids checked and hashed, ratings and times parsed, revisions numbered, and stored; and once
more with what the texts praise and find fault with. DuckDB writes the same file as Parquet. In
turns, each in a process of its own, imports not counted.
"""

import argparse
import json
import sys
import tempfile
from itertools import islice
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks import tables
from benchmarks.amazon_shaped import PART, Shape, parts
from benchmarks.data import Found, in_a_process, said
from benchmarks.harness import Pairs, Record, Run, turns, write_records

COMMAND = "make bench-ingest"
_MOST = 3.0
_ITEMS = 80_000
_WORDS = 36
"""Of a review, as a sample of the category All_Beauty has; about 190 characters."""
_VOCABULARY = 20_000
_OPINIONS = ("great", "excellent", "boring", "poor")
_OPINIONATED = 0.018
"""Share of words that are such: about half of the reviews have one."""
PROFILE = """
extends = "smoke"

[data]
source = "files"
interactions_path = "{file}"
item_column = "parent_asin"
time_unit = "ms"
review_columns = {columns}
"""
_BY_DUCKDB = """
import json, sys, time
import duckdb
began = time.perf_counter()
duckdb.sql(f"COPY (FROM read_json('{sys.argv[1]}')) TO '{sys.argv[2]}' (FORMAT parquet)")
print(json.dumps({"seconds": time.perf_counter() - began}))
"""


def main() -> None:
    """Make the file, measure, keep the figures, renew the page."""
    options = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    options.add_argument("--reviews", type=int, default=PART)
    options.add_argument("--count", type=int, default=5, help="turns")
    options.add_argument("--figures", type=Path, default=tables.INGEST)
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="curec-ingest-") as name:
        found = measured(Path(name), chosen.reviews, chosen.count)
    write_records(chosen.figures, found)
    if chosen.figures == tables.INGEST:
        tables.update_operation()
    print(tables.table(found))


def measured(folder: Path, reviews: int, count: int) -> list[Record]:
    """Both, in turns."""
    file, few = folder / "reviews.jsonl", folder / "few.jsonl"
    write_reviews(reviews, file)
    with file.open("rb") as stream:
        few.write_bytes(b"".join(islice(stream, 10)))
    homes = {"few": (few, []), "plain": (file, []), "opinions": (file, ["title", "text"])}
    for name, (read, columns) in homes.items():
        (folder / name).mkdir()
        profile = PROFILE.format(file=read, columns=json.dumps(columns))
        (folder / name / "own.toml").write_text(profile, encoding="utf-8")
    by_duckdb = [sys.executable, "-c", _BY_DUCKDB, str(file), str(folder / "reviews.parquet")]
    plain, opinions, duckdb = turns(
        [
            lambda: in_a_process("reviews", folder / "plain"),
            lambda: in_a_process("reviews", folder / "opinions"),
            lambda: said(by_duckdb, "DuckDB"),
        ],
        count,
    )
    both, more = Pairs(plain, duckdb), Pairs(opinions, plain)
    name = f"{reviews:,} reviews, {file.stat().st_size / 1e6:,.0f} MB"
    with_columns = "with `data.review_columns`"
    return [
        Record.of(f"{name}: CURec", both.of_a(_seconds), "s", COMMAND),
        Record.of(f"{name}: DuckDB", both.of_b(_seconds), "s", COMMAND),
        Record.of(
            "the one over the other", both.ratio(_seconds), "times", COMMAND, f"<= {_MOST:g}"
        ),
        Record.of(f"{name}: CURec {with_columns}", more.of_a(_seconds), "s", COMMAND),
        Record.of(f"{name}: CURec {with_columns}, gigabytes", more.of_a(_gigabytes), "GB", COMMAND),
        Record.of(f"{name}: CURec, gigabytes", both.of_a(_gigabytes), "GB", COMMAND),
        Record.of(f"{with_columns} over without", more.ratio(_seconds), "times", COMMAND),
    ]


def _seconds(run: Run[Found]) -> float:
    return float(run.result["seconds"])


def _gigabytes(run: Run[Found]) -> float:
    return float(run.result["gigabytes"])


def write_reviews(reviews: int, file: Path) -> None:
    """As Amazon's release of 2023 has them: a JSON object a line."""
    random = np.random.default_rng(0)
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz"))
    words = ["".join(random.choice(letters, 4)) for _ in range(_VOCABULARY)]
    words += _OPINIONS
    often = np.full(len(words), (1 - _OPINIONATED) / _VOCABULARY)
    often[_VOCABULARY:] = _OPINIONATED / len(_OPINIONS)
    sentences = [" ".join(random.choice(words, _WORDS, p=often)) for _ in range(10_000)]
    with file.open("wb") as stream:
        for rows in parts(Shape(reviews, _ITEMS)):
            text = pl.Series(sentences).gather(random.integers(0, len(sentences), rows.height))
            rows.select(
                "rating",
                title=text.str.head(30),
                text=text,
                images=pl.lit([], dtype=pl.List(pl.String)),
                asin="item_id",
                parent_asin="item_id",
                user_id="user_id",
                timestamp=pl.col("timestamp") * 1_000,
                helpful_vote=pl.lit(0),
                verified_purchase=pl.lit(value=True),
            ).write_ndjson(stream)


if __name__ == "__main__":
    main()
