"""The home that the explorer looks at: that of the environment, as for every command."""

import os
from collections.abc import Mapping
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from curec_assets.definitions import default_resources, home_folder, recipes
from curec_assets.explorer.stored import Stored
from curec_assets.settings import DEFAULT_PROFILE, load_profile

DAGSTER_PAGES = "http://127.0.0.1:3000"
"""Where `make ui` has them."""


def opened() -> Stored:
    """What is stored in `CUREC_HOME`, made with `CUREC_PROFILE`; read again when it has changed.

    Raises `ArtifactError` where the home is not filled yet.
    """
    profile, home = os.environ.get("CUREC_PROFILE") or DEFAULT_PROFILE, home_folder()
    version = _resources(profile, home)["warehouse"].data_version("recommendations")
    return _opened(profile, home, version)


def dagster_pages() -> str:
    """Where they are looked for: `CUREC_UI`."""
    return os.environ.get("CUREC_UI", DAGSTER_PAGES)


@cache
def _resources(profile: str, home: Path) -> Mapping[str, Any]:
    """Made once: to make them takes a session longer than to ask for a version."""
    return default_resources(profile, home)


@lru_cache(maxsize=1)
def _opened(profile: str, home: Path, _version: str) -> Stored:
    """Of one version: pages that are opened later find it read."""
    return Stored(_resources(profile, home), load_profile(profile), recipes())
