"""Checks that share a step tell, block and run alone as each would by itself."""

from collections.abc import Sequence

import dagster as dg
import pytest

from curec_assets.core.checks import in_one_step


class Limit(dg.ConfigurableResource):  # type: ignore[type-arg]
    most: int


@dg.asset
def table() -> None:
    pass


@dg.asset(deps=[table])
def below() -> None:
    pass


@dg.asset_check(asset=table, blocking=True, description="Not too much.")
def not_too_much(limit: Limit) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=limit.most < 10, metadata={"most": limit.most})


@dg.asset_check(asset=table)
def looks_well() -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=False, severity=dg.AssetCheckSeverity.WARN)


@dg.asset_check(asset=below)
def is_alone() -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=True)


CHECKS: Sequence[dg.AssetChecksDefinition] = (not_too_much, looks_well, is_alone)


def run(
    checks: Sequence[dg.AssetChecksDefinition],
    most: int,
    selection: dg.AssetSelection | None = None,
) -> tuple[dict[str, tuple[bool, str, object]], set[str], set[str]]:
    """Of each check what it said; the assets that were made; the steps."""
    definitions = dg.Definitions(
        assets=[table, below],
        asset_checks=checks,
        resources={"limit": Limit(most=most)},
        jobs=[dg.define_asset_job("some", selection or dg.AssetSelection.all())],
    )
    result = definitions.resolve_job_def("some").execute_in_process(raise_on_error=False)
    said = {
        each.check_name: (each.passed, each.severity.value, each.metadata.get("most"))
        for each in result.get_asset_check_evaluations()
    }
    made = {e.asset_key.to_user_string() for e in result.get_asset_materialization_events()}
    return said, made, {event.step_key for event in result.all_events if event.step_key}


@pytest.mark.parametrize("most", [3, 30])
def test_together_they_say_and_block_what_each_does_alone(most: int) -> None:
    said, made, steps = run(in_one_step(CHECKS), most)
    said_alone, made_alone, _ = run(CHECKS, most)
    assert said == said_alone
    assert made == made_alone
    assert ("below" in made) == (most == 3)
    assert len([step for step in steps if step not in ("table", "below")]) == 1 + (most == 3)


def test_one_of_them_can_be_run_by_itself() -> None:
    only = dg.AssetSelection.checks(looks_well)
    said, made, _ = run(in_one_step(CHECKS), 3, only)
    assert set(said) == {"looks_well"}
    assert made == set()


def test_descriptions_and_what_blocks_stay() -> None:
    specs = {spec.key: spec for each in in_one_step(CHECKS) for spec in each.check_specs}
    assert specs == {spec.key: spec for each in CHECKS for spec in each.check_specs}
