"""Tables as markdown."""

import polars as pl

from curec_assets.display.markdown import Markdown

_MAX_CELL = 300  # characters


def markdown_table(frame: pl.DataFrame, limit: int = 10) -> Markdown:
    """The first `limit` rows as a markdown table, with a last line that says how many were cut."""
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


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        text = f"{value:.4g}"
    elif isinstance(value, list):
        text = ", ".join(_cell(part) for part in value)
    else:
        text = str(value)
    if len(text) > _MAX_CELL:
        text = text[: _MAX_CELL - 1] + "…"
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("\n", "<br>").strip()
