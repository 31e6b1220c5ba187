"""From an asset to its run in the user's tracker."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from curec_assets.settings import Profile
from resources.storage.manifest import Manifest
from resources.storage.model_store import ModelStore
from resources.tracking import Measures, TrackedRun

FOLDER = "tracking"
"""Of the model store, so that it is closed to others and searched when a user is forgotten."""


def tracked_run(manifest: Manifest, profile: Profile, store: ModelStore) -> TrackedRun:
    """The run of what this manifest is of."""
    chosen = profile.tracking
    name = f"{manifest.asset}-{manifest.fingerprint[:12]}"
    return TrackedRun(chosen.report_to, chosen.project, Path(store.root) / FOLDER, name)


def report(
    measure: Callable[[Any], Measures],
    content: Any,
    manifest: Manifest,
    profile: Profile,
    store: ModelStore,
) -> None:
    """Report what is measured of a stored result, unless that was done before."""
    tracked_run(manifest, profile, store).report(
        lambda: measure(content),
        {
            "asset": manifest.asset,
            "fingerprint": manifest.fingerprint,
            "data_version": manifest.data_version,
            "profile": profile.name,
        },
    )
