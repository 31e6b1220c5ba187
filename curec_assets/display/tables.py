"""Tables as markdown."""

import polars as pl

from curec_assets.display.markdown import Markdown, escaped

_MAX_CELL = 300  # characters


def markdown_table(frame: pl.DataFrame, limit: int = 10) -> Markdown:
    """The first `limit` rows as a markdown table, with a last line that says how many were cut.

    Names and values are shown as they are: nothing in them is rendered.
    """
    lines = [
        "| " + " | ".join(_cell(name) for name in frame.columns) + " |",
        "|" + "---|" * frame.width,
    ]
    lines += [
        "| " + " | ".join(_cell(value) for value in row) + " |" for row in frame.head(limit).rows()
    ]
    if frame.height > limit:
        lines.append(f"\n{frame.height - limit} more rows")
    return Markdown("\n".join(lines))


def _cell(value: object) -> Markdown:
    text = _text(value)
    return escaped(text if len(text) <= _MAX_CELL else text[: _MAX_CELL - 1] + "…")


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list):
        return ", ".join(map(_text, value))
    return str(value)
