"""The only place where everything is put together.

`build_definitions` takes what a test or another deployment wants otherwise as arguments. The two
environment variables of CURec, `CUREC_PROFILE` and `CUREC_HOME`, are read here, when definitions
are built (and by the explorer's page, which has no other way to be told).
"""

import importlib
import os
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import dagster as dg

from curec_assets.automation.drift import drift_sensor
from curec_assets.automation.erasure import erasure_requests, forget_users
from curec_assets.automation.executor import step_processes
from curec_assets.automation.jobs import JOBS
from curec_assets.automation.policies import policies_of
from curec_assets.automation.schedules import SCHEDULES
from curec_assets.automation.sensors import sensors
from curec_assets.core.asset import as_asset
from curec_assets.core.checks import in_one_step
from curec_assets.core.recipe import Recipe
from curec_assets.settings import DEFAULT_PROFILE, Settings, load_profile
from resources.compute.accelerator import Accelerator
from resources.generation.factory import ConfiguredFactory
from resources.models.base_models import LanguageModel
from resources.models.downloads import Downloads
from resources.models.text_encoder import TextEncoder
from resources.storage.model_store import ModelStore
from resources.storage.private import keep_private
from resources.storage.warehouse import Warehouse

STAGES = (
    "datasets",
    "evidence",
    "alignment",
    "reward",
    "policy",
    "reasons",
    "features",
    "recommender",
    "reports",
)
DEFAULT_HOME = ".curec"
KEPT = (
    *("warehouse.duckdb*", ".warehouse.duckdb*", "models", "downloads", "base_models", "encoder"),
    *("dagster", "benchmark", "costs.json", "votes.jsonl*"),
)
"""Patterns of what is kept in the home; what else lies there is not ours."""


def build_definitions(
    *,
    profile: str | None = None,
    home: Path | None = None,
    resources: Mapping[str, Any] | None = None,
    loggers: Mapping[str, dg.LoggerDefinition] | None = None,
) -> dg.Definitions:
    """Assets, checks, resources, jobs, schedules and sensors of CURec.

    `profile`: name of a profile or path of a `.toml` file; unset, `CUREC_PROFILE`, else `laptop`.
    `home`: folder of warehouse, model store and cache; unset, `CUREC_HOME`, else `.curec`.
    `resources` and `loggers` replace parts by name. Raises `ConfigError` for an unknown profile.
    """
    chosen = profile or os.environ.get("CUREC_PROFILE") or DEFAULT_PROFILE
    values = load_profile(chosen)
    folder = home.resolve() if home else home_folder()
    checks = in_one_step(dg.load_asset_checks_from_modules(stage_modules("checks")))
    return dg.Definitions(
        assets=[as_asset(recipe, **policies_of(recipe.name, values)) for recipe in recipes()],
        asset_checks=checks,
        resources={**default_resources(chosen, folder), **(resources or {})},
        jobs=(*JOBS, forget_users),
        schedules=SCHEDULES,
        sensors=(*sensors(recipes(), blocking_checks(checks)), drift_sensor, erasure_requests),
        executor=step_processes,
        loggers=loggers,
    )


def recipes() -> tuple[Recipe, ...]:
    """The recipe of every asset, stage by stage."""
    return tuple(recipe for module in stage_modules("assets") for recipe in module.RECIPES)


def blocking_checks(
    checks: Sequence[dg.AssetChecksDefinition],
) -> Mapping[str, list[dg.AssetCheckKey]]:
    """Asset → its checks that keep what reads it from being made."""
    found: dict[str, list[dg.AssetCheckKey]] = {}
    for each in checks:
        for spec in each.check_specs:
            if spec.blocking:
                found.setdefault(spec.asset_key.to_user_string(), []).append(spec.key)
    return found


def home_folder() -> Path:
    """Where everything is kept: `CUREC_HOME`, else `.curec` in the current folder."""
    return Path(os.environ.get("CUREC_HOME") or DEFAULT_HOME).resolve()


def private_home() -> Path:
    """The home, closed to other users, as is all that this process makes from here on.

    To be called where a process begins: what is kept says what people liked.
    """
    home = home_folder()
    keep_private(home, KEPT)
    return home


def default_resources(profile: str, home: Path) -> dict[str, Any]:
    """Every resource by its role name, with what it keeps below `home`."""
    accelerator = Accelerator()
    downloads = Downloads(cache_dir=str(home / "downloads"))
    return {
        "settings": Settings(profile=profile),
        "warehouse": Warehouse(path=str(home / "warehouse.duckdb")),
        "model_store": ModelStore(root=str(home / "models")),
        "accelerator": accelerator,
        "downloads": downloads,
        "language_model": LanguageModel(cache_dir=str(home / "base_models"), downloads=downloads),
        "text_encoder": TextEncoder(
            downloads=downloads, accelerator=accelerator, cache_dir=str(home / "encoder")
        ),
        "generator_factory": ConfiguredFactory(accelerator=accelerator),
    }


@dg.definitions
def defs() -> dg.Definitions:
    """What `dagster` and `dg` load, in every process that makes something."""
    private_home()
    return build_definitions()


def stage_modules(part: str) -> list[ModuleType]:
    """The modules of this name (`assets`, `checks`), of each stage that has one."""
    names = (f"curec_assets.{stage}.{part}" for stage in STAGES)
    return [importlib.import_module(name) for name in names if find_spec(name)]
