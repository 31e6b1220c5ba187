"""What commands share: the profile option, the home and what must hold of it."""

import logging
import os
import warnings
from pathlib import Path
from typing import Annotated, Any

import typer

from curec_assets.settings import DEFAULT_PROFILE, PROFILES
from resources.errors import ConfigError

ProfileOption = Annotated[
    str,
    typer.Option(
        help=f"Profile ({', '.join(PROFILES)}) or .toml file.",
        envvar="CUREC_PROFILE",
        metavar="NAME",
    ),
]
_QUIET = ("dagster", "transformers", "trl", "peft", "datasets", "sentence_transformers", "httpx")


def enter_home(*, writes: bool = False) -> Path:
    """The home, closed to other users, as is all that this process makes from here on.

    Raises `ConfigError` where it is to be written and cannot be.
    """
    from curec_assets.definitions import private_home
    from resources.storage.private import require_writable

    home = private_home()
    if writes:
        for folder in (home, dagster_home(home)):
            require_writable(folder)
    return home


def dagster_home(home: Path) -> Path:
    """Where Dagster keeps its records."""
    return Path(os.environ.get("DAGSTER_HOME") or home / "dagster")


def resources_of(profile: str = DEFAULT_PROFILE) -> dict[str, Any]:
    """Every resource by its role name; what is only read is the same in every profile."""
    from curec_assets.definitions import default_resources, home_folder

    return default_resources(profile, home_folder())


def require_dagster_home() -> None:
    """Raises `ConfigError` where Dagster would keep its records in a folder that is thrown away."""
    if not os.environ.get("DAGSTER_HOME"):
        raise ConfigError(
            "DAGSTER_HOME is not set, so the UI and its sensors would not know of this; set it to "
            "a folder that holds deploy/dagster.yaml as dagster.yaml (`make demo` and `make ui` "
            "use $CUREC_HOME/dagster)"
        )
    if not Path(os.environ["DAGSTER_HOME"], "dagster.yaml").is_file():
        raise ConfigError(
            f"DAGSTER_HOME {os.environ['DAGSTER_HOME']!r} holds no dagster.yaml; copy "
            "deploy/dagster.yaml there, or use `make setup`"
        )


def silence_libraries() -> None:
    """Leave the terminal to the progress lines; warnings and errors still show."""
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    os.environ.setdefault("TQDM_DISABLE", "1")
    # The parts of TRL and Dagster that we use on purpose and pinned.
    warnings.filterwarnings("ignore", message="You are using 'rollout_func'")
    warnings.filterwarnings("ignore", category=DeprecationWarning)
