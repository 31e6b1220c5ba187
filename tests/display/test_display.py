"""Pictures and tables that the UI can render."""

import base64
import math
import struct
import sys

import polars as pl
import pytest

from curec_assets.display.charts import interval_chart, line_chart
from curec_assets.display.tables import markdown_table


def size(markdown):
    """Width and height in the PNG's header."""
    assert markdown.startswith("![")
    png = base64.b64decode(markdown.split("base64,")[1].removesuffix(")"), validate=True)
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    return struct.unpack(">II", png[16:24])


@pytest.mark.parametrize(
    "series", [{}, {"loss": []}, {"loss": [1.0]}, {"a": [1, 2, math.nan], "b": [0.5, 0.4]}], ids=str
)
def test_a_line_chart_is_a_small_png(series):
    picture = line_chart(series, title="loss [nats]", x_label="step", y_label="y")
    assert size(picture) == (500, 300)
    assert picture.startswith("![loss (nats)](")
    assert len(picture) < 60_000


@pytest.mark.parametrize(
    "values",
    [{}, {"a": (0.5, 0.5, 0.5)}, {"a": (0.6, 0.5, 0.7), "b": (-0.1, -0.2, 0.1)}],
    ids=str,
)
def test_a_interval_chart_is_a_small_png(values):
    assert size(interval_chart(values, title="AUC", y_label="AUC")) == (500, 300)


def test_the_same_numbers_give_the_same_picture():
    draw = {"a": (0.6, 0.5, 0.7)}
    first, second = (interval_chart(draw, title="t", y_label="y") for _ in range(2))
    assert first == second


def test_no_display_and_no_global_figure_is_touched():
    line_chart({"a": [1.0]}, title="t", x_label="x", y_label="y")
    assert "matplotlib.pyplot" not in sys.modules


def test_a_table_escapes_what_markdown_would_take_for_its_own():
    frame = pl.DataFrame({"a|b": ["x|y", "two\nlines", None], "n": [0.123456789, 1.0, 2.0]})
    assert markdown_table(frame, limit=2).splitlines() == [
        "| a\\|b | n |",
        "|---|---|",
        "| x\\|y | 0.1235 |",
        "| two<br>lines | 1 |",
        "",
        "1 more rows",
    ]


def test_a_table_without_rows_or_columns_is_still_text():
    assert "| a |" in markdown_table(pl.DataFrame({"a": []}))
    assert markdown_table(pl.DataFrame())
