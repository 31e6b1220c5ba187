"""The checks of an asset in one step: a step is a process, and most checks take milliseconds."""

from collections.abc import Iterator, Sequence
from typing import cast

import dagster as dg

_OURS = "io_manager"  # which Dagster asks for beside a check's own resources


def in_one_step(checks: Sequence[dg.AssetChecksDefinition]) -> list[dg.AssetChecksDefinition]:
    """The same checks, those of each asset together; each can still be run by itself."""
    by_asset: dict[dg.AssetKey, list[dg.AssetChecksDefinition]] = {}
    for check in checks:
        (spec,) = check.check_specs
        by_asset.setdefault(spec.asset_key, []).append(check)
    return [
        found[0] if len(found) == 1 else _together(asset, found)
        for asset, found in by_asset.items()
    ]


def _together(
    asset: dg.AssetKey, checks: Sequence[dg.AssetChecksDefinition]
) -> dg.AssetChecksDefinition:
    resources = {check: check.required_resource_keys - {_OURS} for check in checks}

    @dg.multi_asset_check(
        name=f"{asset.to_python_identifier()}_checks",
        specs=[spec for check in checks for spec in check.check_specs],
        required_resource_keys=set().union(*resources.values()),
        can_subset=True,
    )
    def all_of_them(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
        # Without it Dagster would make an instance anew for each check, database and all.
        here = dg.build_asset_check_context(instance=context.instance)
        for check in checks:
            (spec,) = check.check_specs
            if spec.key in context.selected_asset_check_keys:
                given = {name: getattr(context.resources, name) for name in resources[check]}
                result = cast(dg.AssetCheckResult, check(here, **given))
                yield result._replace(asset_key=spec.asset_key, check_name=spec.name)

    return all_of_them
