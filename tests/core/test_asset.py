"""Assets made from recipes: the work is done once per identity, and what was declared is all."""

from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dagster as dg
import duckdb
import polars as pl
import pytest

from curec_assets.core.accepted_code import accept
from curec_assets.core.asset import as_asset
from curec_assets.core.inputs import Inputs, UndeclaredRead
from curec_assets.core.provenance import content_hash
from curec_assets.core.recipe import Choice, Recipe
from curec_assets.settings import Settings
from resources.errors import ArtifactError
from resources.storage.model_store import ModelStore
from resources.storage.warehouse import Warehouse

ROWS = pl.DataFrame({"item_id": ["b", "a"], "n": [2, 1]})


@dataclass(frozen=True)
class Small:
    """A view: the upstream's small numbers."""

    small: pl.DataFrame


class Bench:
    """An upstream table, and below it a table and an artifact whose recipes a test can change."""

    def __init__(self, home: Any, instance: dg.DagsterInstance) -> None:
        self.built: list[str] = []
        self.rows, self.text, self.upstream = ROWS, "weights", ROWS
        self.settings: dict[str, Any] = {}
        self.declared: dict[str, Any] = {"tables": ("up",), "settings": ("seed", "evidence")}
        self.read = lambda inputs: inputs.table("up")
        self.warehouse = Warehouse(path=str(home / "w.duckdb"), lock_timeout_seconds=1)
        self.store = ModelStore(root=str(home / "models"))
        self.codes = {"things": "1", "model": "1"}
        self._instance = instance

    def recipes(self) -> list[Recipe]:
        def up(inputs: Inputs) -> pl.DataFrame:
            return self.upstream

        def things(inputs: Inputs) -> pl.DataFrame:
            self.built.append("things")
            self.read(inputs)
            return self.rows

        def model(inputs: Inputs) -> dict[str, float]:
            self.built.append("model")
            self.read(inputs)
            assert inputs.workspace().is_dir()
            (inputs.output() / "weights.txt").write_text(self.text)
            return {"loss": 0.5}

        one = Recipe(up, "table", "g", frozenset(), key=("item_id",))
        two = Recipe(things, "table", "g", frozenset(), key=("item_id",), **self.declared)
        three = Recipe(model, "artifact", "g", frozenset(), **self.declared)
        recipes = [one, two, three]
        codes = {"up": content_hash(self.upstream, key=["item_id"]), **self.codes}
        for recipe in recipes:  # a function inside a test has no code that could be found
            recipe.__dict__["code"] = {"file.py": codes[recipe.name]}
        return recipes

    def run(self) -> dict[str, SimpleNamespace]:
        result = dg.materialize(
            [as_asset(recipe) for recipe in self.recipes()],
            instance=self._instance,
            resources={
                "settings": Settings(profile="smoke", **self.settings),
                "warehouse": self.warehouse,
                "model_store": self.store,
            },
        )
        return {
            name: SimpleNamespace(
                version=(event.tags or {})["dagster/data_version"],
                **{key.replace("/", "_"): entry.value for key, entry in event.metadata.items()},
            )
            for name in ("up", "things", "model")
            for event in result.asset_materializations_for_node(name)
        }


@pytest.fixture
def bench(home: Any, instance: dg.DagsterInstance) -> Bench:
    return Bench(home, instance)


def test_the_second_time_nothing_is_done_and_nothing_changes(bench: Bench) -> None:
    first, second = bench.run(), bench.run()
    assert sorted(bench.built) == ["model", "things"]
    for name in ("things", "model"):
        assert (first[name].cached, second[name].cached) == (False, True)
        assert (first[name].why, second[name].why) == ("made for the first time", "nothing changed")
        assert second[name].version == first[name].version
        assert second[name].manifest == first[name].manifest


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"settings": {"seed": 7}}, "setting `seed` 20260101 → 7"),
        (
            {"settings": {"evidence": {"factor_ridge": 20.0}}},
            "setting `evidence.factor_ridge` 9.0 → 20",
        ),
        ({"upstream": ROWS.with_columns(n=pl.lit(5))}, "upstream `up` changed"),
        ({"codes": {"things": "2", "model": "2"}}, "code of `file.py` changed"),
    ],
    ids=["setting", "field of a section", "upstream", "code"],
)
def test_what_it_depends_on_makes_it_again_and_is_named(
    bench: Bench, change: dict[str, Any], why: str
) -> None:
    first = bench.run()
    vars(bench).update(change)
    second = bench.run()
    assert sorted(bench.built) == ["model", "model", "things", "things"]
    for name in ("things", "model"):
        assert second[name].fingerprint != first[name].fingerprint
        assert second[name].version == first[name].version  # the content is the same
        assert why in second[name].why


def test_what_it_does_not_depend_on_changes_nothing(bench: Bench) -> None:
    bench.run()
    bench.settings = {"policy": {"steps": 3}, "language_model": {"batch_size": 3}}
    assert all(made.cached for made in bench.run().values())


@pytest.mark.parametrize(
    ("read", "named"),
    [
        (lambda inputs: inputs.table("elsewhere"), "table 'elsewhere'"),
        (lambda inputs: inputs.artifact("model"), "artifact 'model'"),
        (lambda inputs: inputs.settings.policy.steps, "setting policy.steps"),
        (lambda inputs: inputs.settings.generator_options(), "setting language_model."),
        (lambda inputs: inputs.resource("text_encoder"), "resource 'text_encoder'"),
    ],
)
def test_reading_what_was_not_declared_is_an_error_and_stores_nothing(
    bench: Bench, read: Any, named: str
) -> None:
    bench.read = read
    with pytest.raises(UndeclaredRead, match=named):
        bench.run()
    assert bench.warehouse.manifest("things") is None


def test_what_is_declared_or_operational_can_be_read(bench: Bench) -> None:
    seen: list[Any] = []
    bench.read = lambda inputs: seen.append(
        (
            inputs.settings.seed,
            inputs.settings.evidence.factor_ridge,
            inputs.settings.encoder.batch_size,
        )
    )
    bench.run()
    assert seen == [(20260101, 9.0, 64)] * 2


def _small(inputs: Inputs) -> Small:
    return Small(inputs.table("up").filter(pl.col("n") < inputs.settings.evidence.most_for))


def test_only_the_chosen_part_of_the_upstream_counts(bench: Bench) -> None:
    choice = Choice(_small, tables=("up",), settings=("evidence.most_for",))
    bench.declared, bench.read = {"view": choice}, lambda inputs: inputs.view.small
    first = bench.run()
    bench.upstream = pl.concat([ROWS, pl.DataFrame({"item_id": ["c"], "n": [99]})])
    bench.settings = {"evidence": {"most_for": 5}}
    second = bench.run()
    assert second["things"].cached and second["model"].cached
    bench.settings = {"evidence": {"most_for": 2}}
    third = bench.run()
    assert third["things"].why == "upstream `small` changed"
    assert third["things"].fingerprint != first["things"].fingerprint
    bench.read = lambda inputs: inputs.table("up")
    bench.settings = {"evidence": {"most_for": 1}}
    with pytest.raises(UndeclaredRead, match="table 'up'"):
        bench.run()


def test_other_content_has_another_data_version(bench: Bench) -> None:
    first = bench.run()
    bench.rows, bench.text, bench.settings = ROWS.with_columns(n=pl.lit(3)), "other", {"seed": 2}
    second = bench.run()
    for name in ("things", "model"):
        assert second[name].version != first[name].version


def test_accepted_code_needs_no_work_and_is_told(bench: Bench) -> None:
    first = bench.run()
    bench.codes = {"things": "2", "model": "2"}
    for recipe in bench.recipes()[1:]:
        accept(
            Path(bench.store.root),
            recipe.name,
            recipe.code_version,
            same_as=first[recipe.name].manifest["code_version"],
            files=("file.py",),
        )
    second = bench.run()
    for name in ("things", "model"):
        assert second[name].cached
        assert "file.py was accepted on" in second[name].why
    bench.codes = {"things": "3", "model": "3"}
    third = bench.run()
    assert not third["things"].cached and not third["model"].cached


def test_a_dropped_table_is_made_again(bench: Bench) -> None:
    bench.run()
    with duckdb.connect(bench.warehouse.path) as connection:
        connection.execute("DROP TABLE things")
    assert bench.warehouse.manifest("things") is None
    with pytest.raises(ArtifactError, match="materialise the asset 'things' first"):
        bench.warehouse.data_version("things")
    assert bench.run()["things"].cached is False
    assert bench.warehouse.read("things").height == 2


def test_a_lasting_table_gets_what_is_stored_until_something_else_changes(bench: Bench) -> None:
    seen: list[pl.DataFrame | None] = []
    bench.declared = {**bench.declared, "lasting": ("up",)}
    bench.read = lambda inputs: seen.append(inputs.earlier)
    bench.run()
    bench.upstream, before, bench.rows = ROWS.head(1), bench.rows, ROWS.head(1)
    bench.run()
    assert len(seen) == 4  # the artifact's are always None
    [stored] = [each for each in seen if each is not None]
    assert stored.equals(before)
    bench.settings = {"seed": 7}
    bench.run()
    assert seen[4:] == [None, None]


def test_rows_that_wait_and_an_erasure_let_a_lasting_table_go_on(bench: Bench) -> None:
    seen: list[pl.DataFrame | None] = []
    bench.declared = {**bench.declared, "lasting": ("up",)}
    bench.read = lambda inputs: seen.append(inputs.earlier)
    bench.run()

    def rewritten(**changed: Any) -> SimpleNamespace:
        manifest = bench.warehouse.existing_manifest("things").model_copy(update=changed)
        bench.warehouse.record([manifest])
        seen.clear()
        return bench.run()["things"]

    found = rewritten(metrics={"waiting": 2})
    assert (found.cached, found.why) == (False, "2 rows waited")
    assert seen[0] is not None and bench.run()["things"].cached
    assert not rewritten(erased_from=("v0",)).cached
    assert seen == [None] and bench.run()["things"].cached


def test_going_back_makes_the_older_model_current_without_work(bench: Bench) -> None:
    first = bench.run()["model"]
    bench.settings, bench.text = {"seed": 2}, "other"
    bench.run()
    bench.settings = {}
    again = bench.run()["model"]
    assert again.cached is True
    assert again.why == "setting `seed` 2 → 20260101"
    assert bench.store.current("model").manifest.fingerprint == first.fingerprint
    assert bench.built.count("model") == 2


def test_rows_that_break_the_promise_are_not_stored(bench: Bench) -> None:
    bench.rows = pl.concat([ROWS, ROWS])
    with pytest.raises(ArtifactError, match=r"key \(item_id\) is not unique"):
        bench.run()
    bench.rows, bench.declared = ROWS, {**bench.declared, "schema": pl.Schema({"x": pl.Int64})}
    recipe = replace(bench.recipes()[1])
    recipe.__dict__["code"] = {}
    with pytest.raises(ArtifactError, match="promises"):
        dg.materialize(
            [as_asset(recipe)],
            resources={
                "settings": Settings(profile="smoke"),
                "warehouse": bench.warehouse,
                "model_store": bench.store,
            },
        )
    assert bench.warehouse.manifest("things") is None


def test_the_ui_gets_schema_and_row_count(bench: Bench) -> None:
    things = bench.run()["things"]
    columns = things.dagster_column_schema.columns
    assert [(c.name, c.constraints.unique, c.constraints.nullable) for c in columns] == [
        ("item_id", True, False),
        ("n", False, True),
    ]
    assert things.dagster_row_count == things.manifest["row_count"] == 2
