"""Row contracts of `items` and `interactions`, as dagster-pandas types.

Heavy (it imports pandas): import it inside functions only.
"""

import warnings
from typing import Any

import polars as pl
from dagster import BetaWarning, DagsterType
from dagster_pandas import PandasColumn, create_dagster_pandas_dataframe_type

with warnings.catch_warnings():
    # dagster-pandas 0.29 marks all of itself as beta; its version is pinned.
    warnings.simplefilter("ignore", BetaWarning)
    ITEMS: DagsterType = create_dagster_pandas_dataframe_type(
        name="Items",
        columns=[
            PandasColumn.string_column("item_id", non_nullable=True, unique=True),
            PandasColumn.string_column("title", non_nullable=True, unique=True),
            PandasColumn.string_column("text", non_nullable=True),
        ],
    )
    INTERACTIONS: DagsterType = create_dagster_pandas_dataframe_type(
        name="Interactions",
        columns=[
            PandasColumn.string_column("event_id", non_nullable=True, unique=True),
            PandasColumn.string_column("user_id", non_nullable=True),
            PandasColumn.string_column("item_id", non_nullable=True),
            PandasColumn.float_column("rating", non_nullable=True),
            PandasColumn.boolean_column("liked", non_nullable=True),
            PandasColumn.integer_column("timestamp", non_nullable=True),
        ],
    )


def objection(rows: pl.DataFrame, contract: DagsterType) -> str:
    """What dagster-pandas says against the rows; empty when it has no objection."""
    # A check outside an op has no type-check context; dagster-pandas does not look at it.
    result: Any = contract.type_check(None, rows.to_pandas())  # type: ignore[arg-type]
    return "" if result.success else str(result.description)
