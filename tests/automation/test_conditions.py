"""The fast lane's condition: fires for a reason, and only then."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import dagster as dg
import pytest

from curec_assets.automation.conditions import follow_upstream
from curec_assets.automation.policies import policies_of


@dataclass
class Lane:
    """raw → items (fast lane) → reward_model (slow lane), evaluated tick by tick."""

    instance: dg.DagsterInstance
    content: str = "one"
    code_version: str = "1"
    check_passes: bool = True
    _cursor: Any = field(default=None)

    def definitions(self) -> dg.Definitions:
        lane = self

        @dg.asset(code_version="1", **policies_of("raw_items"))
        def raw_items() -> dg.MaterializeResult[None]:
            return dg.MaterializeResult(data_version=dg.DataVersion(lane.content))

        @dg.asset_check(asset=raw_items, blocking=True)
        def raw_is_fine() -> dg.AssetCheckResult:
            return dg.AssetCheckResult(passed=lane.check_passes)

        @dg.asset(deps=[raw_items], code_version=self.code_version, **policies_of("items"))
        def items() -> dg.MaterializeResult[None]:
            return dg.MaterializeResult(data_version=dg.DataVersion("items of " + lane.content))

        @dg.asset(deps=[items], code_version="1", **policies_of("reward_model"))
        def reward_model() -> dg.MaterializeResult[None]:
            return dg.MaterializeResult(data_version=dg.DataVersion("model"))

        return dg.Definitions(assets=[raw_items, items, reward_model], asset_checks=[raw_is_fine])

    def tick(self) -> set[str]:
        result = dg.evaluate_automation_conditions(
            self.definitions(), instance=self.instance, cursor=self._cursor
        )
        self._cursor = result.cursor
        names = ("raw_items", "items", "reward_model")
        return {name for name in names if result.get_num_requested(dg.AssetKey(name))}

    def make(self, *names: str) -> None:
        job = self.definitions().resolve_implicit_global_asset_job_def()
        keys = [dg.AssetKey(name) for name in names]
        job.execute_in_process(
            instance=self.instance, asset_selection=keys, raise_on_error=self.check_passes
        )

    def everything_made(self) -> "Lane":
        self.make("raw_items", "items", "reward_model")
        return self


@pytest.fixture
def lane(instance: dg.DagsterInstance) -> Iterator[Lane]:
    yield Lane(instance)


def test_nothing_happens_right_after_a_demo(lane: Lane) -> None:
    lane.everything_made()
    assert [lane.tick(), lane.tick(), lane.tick()] == [set(), set(), set()]


def test_a_second_demo_with_unchanged_content_triggers_nothing(lane: Lane) -> None:
    lane.everything_made().tick()
    lane.everything_made()
    assert [lane.tick(), lane.tick()] == [set(), set()]


def test_an_upstream_materialised_with_the_same_content_triggers_nothing(lane: Lane) -> None:
    lane.everything_made().tick()
    lane.make("raw_items")
    assert [lane.tick(), lane.tick()] == [set(), set()]


def test_changed_content_triggers_the_fast_lane_once_and_never_the_slow_one(lane: Lane) -> None:
    lane.everything_made().tick()
    lane.content = "two"
    lane.make("raw_items")
    assert lane.tick() == {"items"}
    lane.make("items")
    assert [lane.tick(), lane.tick()] == [set(), set()]


def test_a_new_code_version_triggers(lane: Lane) -> None:
    lane.everything_made().tick()
    lane.code_version = "2"
    assert lane.tick() == {"items"}
    lane.make("items")
    assert lane.tick() == set()


def test_what_is_missing_waits_for_its_upstream(lane: Lane) -> None:
    assert lane.tick() == set()
    lane.make("raw_items")
    assert lane.tick() == {"items"}


def test_a_failed_blocking_check_holds_back(lane: Lane) -> None:
    lane.everything_made().tick()
    lane.content, lane.check_passes = "broken", False
    lane.make("raw_items")
    assert lane.tick() == set()
    lane.content, lane.check_passes = "fixed", True
    lane.make("raw_items")
    assert lane.tick() == {"items"}


def test_the_condition_says_what_it_is() -> None:
    assert follow_upstream().get_label() == "follow_upstream"
