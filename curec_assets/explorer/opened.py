"""The home that the explorer looks at: that of the environment, as for every command."""

import os

from curec_assets.definitions import DEFAULT_PROFILE, default_resources, home_folder, recipes
from curec_assets.explorer.stored import Stored
from curec_assets.settings import load_profile


def opened() -> Stored:
    """What is stored in `CUREC_HOME`, made with `CUREC_PROFILE`."""
    profile = load_profile(os.environ.get("CUREC_PROFILE") or DEFAULT_PROFILE)
    resources = default_resources(profile.name, home_folder())
    return Stored(resources["warehouse"], resources["model_store"], profile, recipes())
