"""The fast lane asks for what is stale, all of it and only that, until it is made or in vain."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dagster as dg
import polars as pl
import pytest

from curec_assets.automation import attempts
from curec_assets.automation.sensors import WHY, sensors
from curec_assets.core.asset import as_asset
from curec_assets.core.inputs import Inputs
from curec_assets.core.recipe import Choice, Recipe
from curec_assets.definitions import blocking_checks
from curec_assets.policy.archive import ARCHIVE, begin_switch, end_switch
from curec_assets.settings import Settings
from resources.storage.model_store import ModelStore
from resources.storage.warehouse import Warehouse

NAMES = ("raw_items", "items", "alignment_corpus", "recommendation_reasons")


class Lane:
    """raw_items → items → alignment_corpus (slow lane) → recommendation_reasons, tick by tick."""

    def __init__(self, home: Path, instance: dg.DagsterInstance) -> None:
        self.instance = instance
        self.content = 0
        self.codes = {name: "1" for name in NAMES}
        self.settings: dict[str, Any] = {}
        self.waiting = 0
        self.severity: dg.AssetCheckSeverity | None = None
        self.during: Callable[[], None] = lambda: None
        self.now = 1e9
        self._resources = {
            "warehouse": Warehouse(path=str(home / "w.duckdb"), lock_timeout_seconds=1),
            "model_store": ModelStore(root=str(home / "models")),
        }
        self._cursor: str | None = None

    def recipes(self) -> list[Recipe]:
        def source(inputs: Inputs) -> int:
            return self.content

        def raw_items(inputs: Inputs) -> pl.DataFrame:
            return pl.DataFrame({"key": [inputs.view]})

        def items(inputs: Inputs) -> pl.DataFrame:
            read = inputs.table("raw_items")
            self.during()
            return read

        def alignment_corpus(inputs: Inputs) -> pl.DataFrame:
            return inputs.table("items")

        def recommendation_reasons(inputs: Inputs) -> tuple[pl.DataFrame, dict[str, int]]:
            return inputs.table("items"), {"waiting": self.waiting}

        source_of = {
            raw_items: Choice(
                source,
                settings=("data.max_history",),
                versions=lambda content: {"content": str(content)},
            )
        }

        settings_of = {
            items: ("seed",),
            alignment_corpus: ("alignment.learning_rate", "explanation.max_words"),
            recommendation_reasons: ("explanation.max_words",),
        }

        def recipe(build: Any, *tables: str) -> Recipe:
            found = Recipe(
                build,
                "table",
                "g",
                frozenset(),
                key=("key",),
                tables=tables,
                settings=settings_of.get(build, ()),
                lasting=("items",) if build is recommendation_reasons else (),
                view=source_of.get(build),
            )
            # A function inside a test has no code that could be found.
            found.__dict__["code"] = {"file.py": self.codes[found.name]}
            return found

        return [
            recipe(raw_items),
            recipe(items, "raw_items"),
            recipe(alignment_corpus, "items"),
            recipe(recommendation_reasons, "items", "alignment_corpus"),
        ]

    def check(self) -> dg.AssetChecksDefinition:
        @dg.asset_check(asset="raw_items", blocking=True)
        def raw_is_fine() -> dg.AssetCheckResult:
            severity = self.severity or dg.AssetCheckSeverity.ERROR
            return dg.AssetCheckResult(passed=self.severity is None, severity=severity)

        return raw_is_fine

    def resources(self) -> dict[str, Any]:
        return {**self._resources, "settings": Settings(profile="smoke", **self.settings)}

    def make(self, *names: str, succeeds: bool = True) -> None:
        done = dg.materialize(
            [*(as_asset(recipe) for recipe in self.recipes()), self.check()],
            selection=list(names),
            instance=self.instance,
            resources=self.resources(),
            raise_on_error=False,
        )
        assert done.success == succeeds

    def tick(self) -> set[str]:
        """What is asked for; the reason for nothing is in `self.said`."""
        fast_lane, _ = sensors(self.recipes(), blocking_checks([self.check()]))
        context = dg.build_sensor_context(
            instance=self.instance, cursor=self._cursor, resources=self.resources()
        )
        found: Any = fast_lane(context)
        skipped = found if isinstance(found, dg.SkipReason) else found.skip_reason
        self.said = skipped.skip_message if skipped else ""
        self._cursor = getattr(found, "cursor", None) or self._cursor
        requests = getattr(found, "run_requests", None) or []
        self.tags = requests[0].tags if requests else {}
        return {key.to_user_string() for request in requests for key in request.asset_selection}


@pytest.fixture
def lane(home: Path, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch) -> Lane:
    lane = Lane(home, instance)
    monkeypatch.setattr(attempts, "time", SimpleNamespace(time=lambda: lane.now))
    return lane


@pytest.fixture
def made(lane: Lane) -> Lane:
    lane.make(*NAMES)
    assert lane.tick() == set()
    assert lane.said == "everything has followed"
    return lane


def new_data(lane: Lane) -> None:
    lane.content += 1
    lane.make("raw_items")


def test_one_run_follows_new_data_to_the_end(made: Lane) -> None:
    new_data(made)
    assert made.tick() == {"items", "recommendation_reasons"}
    assert "items: raw_items is now" in made.tags[WHY]
    made.make("items", "recommendation_reasons")
    assert made.tick() == set()
    assert "`retrain` would make again: alignment_corpus: items is now" in made.said


def test_the_same_content_again_asks_for_nothing(made: Lane) -> None:
    made.make("raw_items")
    assert [made.tick(), made.tick()] == [set(), set()]


def fail() -> None:
    raise RuntimeError("no")


def test_what_failed_is_asked_for_again_ever_later_and_not_for_ever(made: Lane) -> None:
    new_data(made)
    wanted = {"items", "recommendation_reasons"}
    made.during = fail
    for attempt, wait in enumerate((60, 120, 240), start=1):
        assert made.tick() == wanted
        assert made.tags["curec/attempt"] == str(attempt)
        made.make(*wanted, succeeds=False)
        made.now += wait - 1
        assert made.tick() == set()
        assert "tries again in 1 s" in made.said
        made.now += 1
    assert made.tick() == wanted
    made.make(*wanted, succeeds=False)
    made.now += 1e6
    assert made.tick() == set()
    assert "in vain" in made.said
    new_data(made)
    assert made.tick() == wanted


@pytest.mark.fault("the clock is set back")
def test_rows_that_wait_are_asked_for_until_none_does(made: Lane) -> None:
    made.content, made.waiting = 1, 2
    made.make("raw_items", "items", "alignment_corpus", "recommendation_reasons")
    for made.waiting in (1, 0):
        assert made.tick() == {"recommendation_reasons"}
        assert "rows wait" in made.tags[WHY]
        made.make("recommendation_reasons")
    assert made.tick() == set()


def test_a_clock_that_is_set_back_holds_nothing_up(made: Lane) -> None:
    new_data(made)
    made.during = fail
    wanted = made.tick()
    made.make(*wanted, succeeds=False)
    made.now -= 1e8
    assert made.tick() == wanted
    made.make(*wanted, succeeds=False)
    assert made.tick() == set()
    assert "tries again in 120 s" in made.said


def test_what_read_older_input_is_asked_for_again(made: Lane) -> None:
    new_data(made)

    def changes_meanwhile() -> None:
        made.during = lambda: None
        new_data(made)

    made.during = changes_meanwhile
    assert made.tick() == {"items", "recommendation_reasons"}
    made.make("items", "recommendation_reasons")
    assert made.tick() == {"items", "recommendation_reasons"}


def test_changed_settings_and_code_are_seen(made: Lane) -> None:
    made.settings = {"seed": 7}
    assert made.tick() == {"items", "recommendation_reasons"}
    assert "setting seed" in made.tags[WHY]
    made.make("items", "recommendation_reasons")
    assert made.tick() == set()
    made.codes["recommendation_reasons"] = "2"
    assert made.tick() == {"recommendation_reasons"}
    assert "code of file.py changed" in made.tags[WHY]


def test_a_home_of_before_settings_were_recorded_is_read(lane: Lane) -> None:
    lane.make(*NAMES)
    for name in NAMES:
        event = lane.instance.get_latest_materialization_event(dg.AssetKey(name))
        assert event is not None and event.asset_materialization is not None
        made = event.asset_materialization
        old = {key: value for key, value in made.metadata.items() if key != "settings"}
        lane.instance.report_runless_asset_event(
            dg.AssetMaterialization(made.asset_key, metadata=old, tags=made.tags)
        )
    assert lane.tick() == set()
    assert lane.said == "everything has followed"
    lane.settings = {"seed": 7}
    assert lane.tick() == {"items", "recommendation_reasons"}


def test_the_source_is_read_again_when_its_settings_changed_but_never_at_first(lane: Lane) -> None:
    assert lane.tick() == set()
    lane.make(*NAMES)
    lane.settings = {"data": {"max_history": 7}}
    assert lane.tick() == {"raw_items", "items", "recommendation_reasons"}
    assert "setting data.max_history" in lane.tags[WHY]


def test_no_text_is_written_while_its_model_was_taught_by_other_code(made: Lane) -> None:
    made.codes["alignment_corpus"] = "2"
    new_data(made)
    assert made.tick() == {"items"}
    made.make("items")
    assert made.tick() == set()
    assert "alignment_corpus waits for `retrain`: code of file.py changed" in made.said
    made.make("alignment_corpus")
    assert made.tick() == {"recommendation_reasons"}


def test_settings_that_only_training_reads_hold_nothing(made: Lane) -> None:
    made.settings = {"alignment": {"learning_rate": 0.5}}
    assert made.tick() == set()
    assert "`retrain` would make again: alignment_corpus: setting alignment.learn" in made.said
    new_data(made)
    assert made.tick() == {"items", "recommendation_reasons"}


def test_settings_that_training_and_writing_share_hold_what_is_written(made: Lane) -> None:
    made.settings = {"explanation": {"max_words": 17}}
    new_data(made)
    assert made.tick() == {"items"}
    made.make("items")
    assert made.tick() == set()
    assert "alignment_corpus waits for `retrain`: setting explanation.max_words" in made.said


def test_nothing_is_written_while_a_policy_is_half_taken_up(made: Lane) -> None:
    store = made.resources()["model_store"]
    Path(store.root, ARCHIVE).mkdir(parents=True)
    begin_switch(store, "f1")
    new_data(made)
    assert made.tick() == {"items"}
    made.make("items")
    assert made.tick() == set()
    assert "`curec use-policy f1` was interrupted; give it again" in made.said
    end_switch(store)
    assert made.tick() == {"recommendation_reasons"}


def test_what_is_missing_waits_for_its_upstream(lane: Lane) -> None:
    lane.make("raw_items")
    assert lane.tick() == {"items"}
    lane.make("items", "alignment_corpus")
    assert lane.tick() == {"recommendation_reasons"}


def test_a_failed_blocking_check_holds_back_and_a_warning_does_not(made: Lane) -> None:
    made.severity = dg.AssetCheckSeverity.ERROR
    made.content += 1
    made.make("raw_items", succeeds=False)
    assert made.tick() == set()
    assert "check raw_is_fine of raw_items failed" in made.said
    made.severity = dg.AssetCheckSeverity.WARN
    new_data(made)
    assert made.tick() == {"items", "recommendation_reasons"}


def test_it_waits_for_a_run_that_goes_on(made: Lane) -> None:
    new_data(made)
    assets = [as_asset(recipe) for recipe in made.recipes()]
    definitions = dg.Definitions(
        assets, jobs=[dg.define_asset_job("retrain")], resources=made.resources()
    )
    run = made.instance.create_run_for_job(
        definitions.resolve_job_def("retrain"), status=dg.DagsterRunStatus.STARTED
    )
    assert made.tick() == set()
    assert made.said == f"waits for the end of run {run.run_id} (retrain)"
    made.instance.report_run_canceled(run)
    assert made.tick() == {"items", "recommendation_reasons"}
