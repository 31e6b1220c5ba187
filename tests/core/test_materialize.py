"""`materialize.table` and `materialize.artifact`: the work is done once per fingerprint."""

from types import SimpleNamespace

import dagster as dg
import duckdb
import polars as pl
import pytest

from curec_assets.core import materialize
from resources.errors import ArtifactError
from resources.storage.model_store import ModelStore
from resources.storage.warehouse import Warehouse

ROWS = pl.DataFrame({"item_id": ["b", "a"], "n": [2, 1]})


@pytest.fixture
def bench(home, instance):
    """Runs one table asset and one artifact asset, and counts how often each did its work."""
    bench = SimpleNamespace(
        built=[], rows=ROWS, text="weights", config={"x": 1}, inputs={"up": "v1"}, code="1"
    )
    bench.warehouse = Warehouse(path=str(home / "w.duckdb"), lock_timeout_seconds=1)
    bench.store = ModelStore(root=str(home / "models"))

    def rows():
        bench.built.append("things")
        return bench.rows

    def files(folder, workspace):
        bench.built.append("model")
        assert workspace.is_dir()
        (folder / "weights.txt").write_text(bench.text)
        return {"loss": 0.5}

    def run():
        @dg.asset(code_version=bench.code)
        def things(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
            return materialize.table(
                context,
                bench.warehouse,
                key=["item_id"],
                config=bench.config,
                inputs=bench.inputs,
                build=rows,
                describe=lambda found: {"seen": found.height},
            )

        @dg.asset(code_version=bench.code)
        def model(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
            return materialize.artifact(
                context,
                bench.store,
                config=bench.config,
                inputs=bench.inputs,
                build=files,
                describe=lambda found: {"files": len(found.manifest.files)},
            )

        result = dg.materialize([things, model], instance=instance)
        return {
            name: SimpleNamespace(
                version=event.tags["dagster/data_version"],
                **{key: entry.value for key, entry in event.metadata.items()},
            )
            for name in ("things", "model")
            for event in result.asset_materializations_for_node(name)
        }

    bench.run = run
    return bench


def test_the_second_time_nothing_is_done_and_nothing_changes(bench):
    first, second = bench.run(), bench.run()
    assert sorted(bench.built) == ["model", "things"]
    for name in ("things", "model"):
        assert (first[name].cached, second[name].cached) == (False, True)
        assert second[name].version == first[name].version
        assert second[name].fingerprint == first[name].fingerprint
        assert second[name].manifest == first[name].manifest
    assert second["things"].seen == 2
    assert second["model"].files == 1


@pytest.mark.parametrize(
    "change", [{"config": {"x": 2}}, {"inputs": {"up": "v2"}}, {"code": "2"}], ids=str
)
def test_a_change_of_what_it_depends_on_makes_it_again(bench, change):
    first = bench.run()
    vars(bench).update(change)
    second = bench.run()
    assert sorted(bench.built) == ["model", "model", "things", "things"]
    for name in ("things", "model"):
        assert second[name].fingerprint != first[name].fingerprint
        assert second[name].version == first[name].version  # the content is the same


def test_other_content_has_another_data_version(bench):
    first = bench.run()
    bench.rows, bench.text, bench.config = ROWS.with_columns(n=pl.lit(3)), "other", {"x": 2}
    second = bench.run()
    for name in ("things", "model"):
        assert second[name].version != first[name].version


def test_a_dropped_table_is_made_again(bench):
    bench.run()
    with duckdb.connect(bench.warehouse.path) as connection:
        connection.execute("DROP TABLE things")
    assert bench.warehouse.manifest("things") is None
    with pytest.raises(ArtifactError, match="materialise the asset 'things' first"):
        bench.warehouse.data_version("things")
    assert bench.run()["things"].cached is False
    assert bench.warehouse.read("things").height == 2


def test_going_back_makes_the_older_model_current_without_work(bench):
    first = bench.run()["model"]
    bench.config, bench.text = {"x": 2}, "other"
    bench.run()
    bench.config = {"x": 1}
    again = bench.run()["model"]
    assert again.cached is True
    assert bench.store.current("model").manifest.fingerprint == first.fingerprint
    assert bench.built.count("model") == 2


def test_the_ui_gets_schema_and_row_count(bench, instance):
    things = bench.run()["things"]
    key = dg.AssetKey("things")
    metadata = instance.get_latest_materialization_event(key).asset_materialization.metadata
    columns = metadata["dagster/column_schema"].value.columns
    assert [(c.name, c.constraints.unique, c.constraints.nullable) for c in columns] == [
        ("item_id", True, False),
        ("n", False, True),
    ]
    assert metadata["dagster/row_count"].value == things.manifest["row_count"] == 2


def test_an_asset_without_code_version_is_refused(bench, instance):
    @dg.asset
    def unversioned(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
        return materialize.table(
            context, bench.warehouse, key=["item_id"], config={}, inputs={}, build=lambda: ROWS
        )

    with pytest.raises(dg.DagsterInvariantViolationError, match="unversioned has no code_version"):
        dg.materialize([unversioned], instance=instance)
