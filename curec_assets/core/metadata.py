"""From what a stage says about its results, in plain values, to Dagster's metadata and checks."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl

from curec_assets.display.markdown import Markdown
from curec_assets.display.tables import markdown_table


def as_metadata(description: Mapping[str, Any]) -> dict[str, Any]:
    """Markdown is rendered; frames become tables, dictionaries and lists JSON; the rest stays."""
    return {name: _value(value) for name, value in description.items()}


def no_rows(broken: pl.DataFrame) -> dg.AssetCheckResult:
    """Passes when there is no broken row; shows some otherwise."""
    metadata: dict[str, Any] = {"broken_rows": broken.height}
    if broken.height:
        metadata["examples"] = dg.MetadataValue.md(markdown_table(broken))
    return dg.AssetCheckResult(passed=not broken.height, metadata=metadata)


def no_problems(problems: Sequence[str], **metadata: Any) -> dg.AssetCheckResult:
    """Passes when there is no problem; names them otherwise."""
    return dg.AssetCheckResult(
        passed=not problems,
        description="; ".join(problems) or None,
        metadata={"problems": "; ".join(problems), **as_metadata(metadata)},
    )


def _value(value: Any) -> Any:
    if isinstance(value, pl.DataFrame):
        return dg.MetadataValue.md(markdown_table(value))
    if isinstance(value, Markdown):
        return dg.MetadataValue.md(value)
    if isinstance(value, Path):
        return dg.MetadataValue.path(value)
    if isinstance(value, Mapping | list | tuple):
        return dg.MetadataValue.json(value)
    return value
