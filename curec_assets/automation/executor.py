"""How the steps of a run are executed: each in a process of its own, few at a time."""

import gc
import multiprocessing
from typing import Any

import dagster as dg

# A fork server loads once per run what every step needs; a step then starts in a fraction of a
# second. Windows has none and spawns.
_PRELOADED = ["curec_assets.preloaded"]
_START_METHOD: dict[str, Any] = (
    {"forkserver": {"preload_modules": _PRELOADED}}
    if "forkserver" in multiprocessing.get_all_start_methods()
    else {"spawn": {}}
)

# Every step process forks from one that has loaded this module. What is loaded by now (Dagster)
# lives as long as the process does: it stays shared between them, and no collection walks it again,
# which by itself is a good part of the time that loading the definitions takes.
gc.freeze()


@dg.configured(
    dg.multiprocess_executor,
    config_schema={
        "max_concurrent": dg.Field(
            int,
            default_value=2,
            description="Steps that run at once, each in its own process. Pools limit it further: "
            "one step with a model, one writer of the warehouse.",
        )
    },
)
def step_processes(config: dict[str, Any]) -> dict[str, Any]:
    """Each step in a process of its own; few at a time, since models share the memory."""
    return {"max_concurrent": config["max_concurrent"], "start_method": _START_METHOD}
