"""What holds for assets by their place in the house: owner, pool, retries, freshness."""

from datetime import timedelta
from typing import Any

import dagster as dg

from curec_assets.automation.lanes import FAST, INGEST, ON_DEVICE
from curec_assets.settings import Profile

OWNERS = ["team:curec"]
ONCE_MORE = dg.RetryPolicy(max_retries=1, delay=10)


def policies_of(asset: str, profile: Profile) -> dict[str, Any]:
    """Arguments of `core.asset.as_asset` for the asset of this name.

    One retry, for what may pass by itself: a process that was killed for memory, a server that is
    away. What CURec refuses (data, settings, what is stored) is not tried again: it would only be
    refused again. Freshness is asked of what follows your files; no new data comes from others.
    """
    return {
        "owners": OWNERS,
        "pool": "gpu" if asset in ON_DEVICE else "warehouse",
        "retry_policy": ONCE_MORE,
        "freshness_policy": _freshness(profile) if asset in (*INGEST, *FAST) else None,
    }


def _freshness(profile: Profile) -> dg.FreshnessPolicy | None:
    if profile.data.source not in ("files", "database"):
        return None
    late = timedelta(hours=profile.data.expected_hours)
    return dg.FreshnessPolicy.time_window(fail_window=2 * late, warn_window=late)
