"""The automation condition of the fast lane, and where it is applied.

`AutomationCondition.eager()` is not used: it fires again when an upstream was materialised with
unchanged content, and it ignores new code versions.
"""

from collections.abc import Sequence
from typing import Any

import dagster as dg

from curec_assets.automation.lanes import FAST


def follow_upstream() -> dg.AutomationCondition[Any]:
    """Materialise when missing, when an upstream's content or the code changed; only then.

    Waits until every upstream is there, none is being made, and its blocking checks have passed.
    """
    condition = dg.AutomationCondition
    something_changed: dg.AutomationCondition[Any] = (
        condition.newly_missing()
        | condition.any_deps_match(condition.data_version_changed())
        | condition.code_version_changed()
    )
    return (
        something_changed.since_last_handled()
        & condition.all_deps_blocking_checks_passed()
        & ~condition.any_deps_missing()
        & ~condition.any_deps_in_progress()
        & ~condition.in_progress()
    ).with_label("follow_upstream")


def automate(assets: Sequence[dg.AssetsDefinition]) -> list[dg.AssetsDefinition]:
    """The same assets, with `follow_upstream` on those of the fast lane."""
    fast = {dg.AssetKey(name) for name in FAST}
    condition = follow_upstream()

    def with_condition(spec: dg.AssetSpec) -> dg.AssetSpec:
        if spec.key not in fast:
            return spec
        return spec.replace_attributes(automation_condition=condition)

    return list(dg.map_asset_specs(with_condition, assets))
