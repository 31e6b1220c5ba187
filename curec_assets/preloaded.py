"""What the fork server of a run (`automation.executor`) loads, so that no step process has to.

Dagster's storage takes a third of the second in which a step process would otherwise begin. What
may ask for a GPU on being imported (transformers, TRL) is left to the steps: a process that was
forked after that cannot use one.
"""

import importlib

from curec_assets.definitions import stage_modules

_LIBRARIES = (
    *("dagster._core.storage.base_storage", "upath.core"),
    *("duckdb", "matplotlib.backends.backend_agg", "matplotlib.figure"),
    *("torch", "scipy.stats", "sklearn.linear_model"),
)

for _name in _LIBRARIES:
    importlib.import_module(_name)
for _part in ("assets", "checks"):
    stage_modules(_part)
