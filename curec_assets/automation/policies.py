"""What holds for assets by their place in the house: owner, pool, retries."""

from typing import Any

from curec_assets.automation.lanes import ON_DEVICE

OWNERS = ["team:curec"]


def policies_of(asset: str) -> dict[str, Any]:
    """Arguments of `core.asset.as_asset` for the asset of this name.

    No retries: what can pass by itself (a locked warehouse, a server's failed answer) is tried
    again where it happens, and any other failure would only happen again.
    """
    return {
        "owners": OWNERS,
        "pool": "gpu" if asset in ON_DEVICE else "warehouse",
        "retry_policy": None,
    }
