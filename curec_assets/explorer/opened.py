"""The home that the explorer looks at: that of the environment, as for every command."""

import os
from functools import lru_cache

from curec_assets.definitions import DEFAULT_PROFILE, default_resources, home_folder, recipes
from curec_assets.explorer.stored import Stored
from curec_assets.settings import load_profile

DAGSTER_PAGES = "http://127.0.0.1:3000"
"""Where `make ui` has them."""


def opened() -> Stored:
    """What is stored in `CUREC_HOME`, made with `CUREC_PROFILE`; read again when it has changed.

    Raises `ArtifactError` where the home is not filled yet.
    """
    profile = os.environ.get("CUREC_PROFILE") or DEFAULT_PROFILE
    home = home_folder()
    warehouse = default_resources(profile, home)["warehouse"]
    return _opened(profile, str(home), warehouse.data_version("recommendations"))


def dagster_pages() -> str:
    """Where they are looked for: `CUREC_UI`."""
    return os.environ.get("CUREC_UI", DAGSTER_PAGES)


@lru_cache(maxsize=1)
def _opened(profile: str, home: str, _version: str) -> Stored:
    """Of one version: pages that are opened later find it read."""
    chosen = load_profile(profile)
    resources = default_resources(chosen.name, home_folder())
    return Stored(resources, chosen, recipes())
