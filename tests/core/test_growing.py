"""Tables that grow: their version is of their rows, whichever way these came."""

from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from curec_assets.core.growing import version_of, without_rows, write_change, write_whole
from curec_assets.core.inputs import Inputs
from curec_assets.core.recipe import Change, Recipe, table
from curec_assets.lifecycle.doctor import of_tables
from resources.storage.manifest import Manifest
from resources.storage.warehouse import Warehouse

SCHEMA = {"key": pl.Int64(), "text": pl.Utf8(), "arrived": pl.Int64()}
ROWS = pl.DataFrame(
    {"key": [1, 2, 3], "text": ["a", None, 'c "quoted"\n'], "arrived": [7, 8, 9]}, schema=SCHEMA
)


def nothing_new(_inputs: Inputs, _wanted: Manifest) -> None:
    return None


def log(_inputs: Inputs) -> pl.DataFrame:
    return ROWS


RECIPE: Recipe = table(
    group="datasets",
    kinds={"duckdb"},
    key=("key",),
    schema=SCHEMA,
    update=nothing_new,
    order=("key",),
    unversioned=("arrived",),
)(log)
WANTED = Manifest(
    asset="log",
    fingerprint="f",
    code_version="1",
    data_version="",
    created_at=datetime.now(UTC),
)


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    return Warehouse(path=str(tmp_path / "w.duckdb"), lock_timeout_seconds=5)


def of_earlier_curec(warehouse: Warehouse, rows: pl.DataFrame) -> Manifest:
    """Stored, with a sum of hashes that are not today's."""
    manifest = write_whole(RECIPE, warehouse, WANTED, rows, {})
    before = manifest.model_copy(update={"row_sum": "0" * 31 + "7", "data_version": "older"})
    warehouse.record([before])
    return before


def test_a_change_of_a_table_of_an_earlier_curec_brings_its_version_up_to_date(
    warehouse: Warehouse,
) -> None:
    before = of_earlier_curec(warehouse, ROWS.head(2))
    change = Change(ROWS.tail(1), pl.DataFrame({"key": [1]}), {})
    after = write_change(RECIPE, warehouse, WANTED, before, change)
    assert after.data_version == version_of(RECIPE, ROWS.tail(2))
    assert after.row_count == 2


def test_rows_taken_out_of_a_table_of_an_earlier_curec_are_in_no_version(
    warehouse: Warehouse,
) -> None:
    before = of_earlier_curec(warehouse, ROWS)
    after = without_rows(RECIPE, warehouse, before, ROWS.head(1))
    assert after.data_version == version_of(RECIPE, ROWS.tail(2))


def test_the_doctor_takes_another_hash_for_no_damage(warehouse: Warehouse) -> None:
    of_earlier_curec(warehouse, ROWS)
    (found,) = of_tables(warehouse, [RECIPE])
    assert found.sound
    assert "earlier CURec" in found.found


def test_when_a_row_came_is_in_no_version(warehouse: Warehouse) -> None:
    first = write_whole(RECIPE, warehouse, WANTED, ROWS, {})
    later = ROWS.with_columns(arrived=pl.col("arrived") + 1)
    assert write_whole(RECIPE, warehouse, WANTED, later, {}).data_version == first.data_version
    (found,) = of_tables(warehouse, [RECIPE])
    assert found.sound
