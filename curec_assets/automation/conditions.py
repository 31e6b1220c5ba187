"""The automation condition of the fast lane.

`AutomationCondition.eager()` is not used: it fires again when an upstream was materialised with
unchanged content, and it ignores new code versions.
"""

from typing import Any

import dagster as dg


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
