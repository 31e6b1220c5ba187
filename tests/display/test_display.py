"""Pictures and tables that the UI can render."""

import base64
import math
import re
import struct
import sys

import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from curec_assets.display.charts import bar_chart, interval_chart, line_chart
from curec_assets.display.markdown import fenced
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


@pytest.mark.parametrize(
    "series",
    [
        {},
        {"a": {}},
        {"users": {"1": 3, "2-3": 1}, "items": {"4-7": 2}},
        {"a": {str(n): n for n in range(40)}},
    ],
    ids=["none", "empty", "two", "many"],
)
def test_a_bar_chart_is_a_small_png(series):
    picture = bar_chart(series, title="t", x_label="x", y_label="y")
    assert size(picture) == (500, 300)
    assert len(picture) < 60_000


def test_the_same_numbers_give_the_same_picture():
    draw = {"a": (0.6, 0.5, 0.7)}
    first, second = (interval_chart(draw, title="t", y_label="y") for _ in range(2))
    assert first == second


def test_no_display_and_no_global_figure_is_touched():
    line_chart({"a": [1.0]}, title="t", x_label="x", y_label="y")
    assert "matplotlib.pyplot" not in sys.modules


def test_a_table_says_how_many_rows_were_cut():
    frame = pl.DataFrame({"own_share": ["two\nlines", None], "n": [0.123456789, 2.0]})
    assert markdown_table(frame, limit=1).splitlines() == [
        "| own_share | n |",
        "|---|---|",
        "| two<br>lines | 0.1235 |",
        "",
        "1 more rows",
    ]


# What the UI makes links of after it has resolved escapes (mdast-util-gfm-autolink-literal).
ADDRESS = re.compile(r"(https?://|www(?=\.))[-.\w]+|[-.\w+]+@[-\w]+(\.[-\w]+)+", re.IGNORECASE)
HOSTILE = [
    "<script>alert(1)</script>",
    "<img src='http://evil.example/p.png' onerror='x'>",
    "![](http://evil.example/p.png)",
    "![a][b] [b]: http://evil.example",
    "[click](javascript:x)",
    "<http://evil.example>",
    "HTTPS://evil.example www.evil.example ann@evil.example",
    "&lt;b&gt; <!-- x --> <![CDATA[x]]> <?x?>",
    "\\|a\\\\|b\\<c\\",
    "_a_ __b__ a_b **c** ~~d~~ `e` ``f``",
    "x\r| y |\n\n# z\u2028```",
    "http<!-- -->://evil.example",
]
fragments = st.lists(st.sampled_from(HOSTILE) | st.text() | st.sampled_from("\\`*_[]()<>&|!~@:#"))


@given(st.lists(fragments.map("".join), min_size=1, max_size=4))
@example(HOSTILE)
def test_nothing_in_a_table_is_rendered_but_seen_as_it_is(texts):
    renderer = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    table = markdown_table(pl.DataFrame({"first|": texts, "last": texts}), limit=99)
    tokens = renderer.parse(table)
    assert [token.type for token in tokens].count("td_open") == 2 * len(texts)
    assert {token.tag for token in tokens} <= {"table", "thead", "tbody", "tr", "th", "td", ""}
    cells = [token for token in tokens if token.type == "inline"]
    for cell, text in zip(cells[2:], (t for t in texts for _ in range(2)), strict=True):
        parts = cell.children
        assert {part.type for part in parts} <= {"text", "html_inline"}
        html = {part.content for part in parts if part.type == "html_inline"}
        assert html <= {"<br>", "<!-- -->"}
        assert not any(ADDRESS.search(part.content) for part in parts if part.type == "text")
        seen = "".join(
            "\n" if part.content == "<br>" else part.content
            for part in parts
            if part.content != "<!-- -->" or part.type == "text"
        )
        cut = text if len(text) <= 300 else text[:299] + "…"
        assert words(seen) == words("\n".join(cut.strip().splitlines()))


@given(st.lists(st.sampled_from(["```", "````", "~~~", "\n", "<b>", "x"])).map("".join))
def test_a_block_shows_its_text_as_it_is(text):
    tokens = MarkdownIt("commonmark").parse(f"before\n\n{fenced(text)}\n\nafter")
    blocks = [token.content for token in tokens if token.type in ("fence", "inline", "html_block")]
    assert blocks == ["before", f"{text}\n", "after"]


def words(text):
    """Without what a renderer does to blanks and NUL."""
    return text.replace("\0", "\ufffd").split()


def test_a_table_without_rows_or_columns_is_still_text():
    assert "| a |" in markdown_table(pl.DataFrame({"a": []}))
    assert markdown_table(pl.DataFrame())
