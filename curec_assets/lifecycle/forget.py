"""`curec forget`: everything that erasure takes, in one command that can be repeated.

Rows and models first (`erasure`), then the fast lane is made again from what is left, then what
only the user's reasons needed is dropped from the kept completions, then Dagster's own records, and
at the end the whole home is searched (`traces`).
"""

import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import dagster as dg
import polars as pl

from curec_assets.automation.interruption import interruptible
from curec_assets.automation.lanes import FAST, FITTED
from curec_assets.automation.old_runs import delete_run
from curec_assets.automation.run_launcher import fail_dead_runs
from curec_assets.automation.unended import unended_run
from curec_assets.core.recipe import Recipe
from curec_assets.lifecycle.erasure import forget, tainted
from curec_assets.lifecycle.traces import traces
from resources.errors import ConfigError, CurecError
from resources.generation.journal import set_aside, set_aside_from
from resources.storage.model_store import ModelStore
from resources.storage.warehouse import Warehouse

_SECONDS_FOR_A_LOCK = 60.0  # while Dagster's own processes write
_JOURNALS = "*/.*.kept/completions.jsonl"
Say = Callable[[str], None]


def forget_users(
    user_ids: Sequence[str],
    definitions: dg.Definitions,
    recipes: Sequence[Recipe],
    warehouse: Warehouse,
    store: ModelStore,
    instance: dg.DagsterInstance,
    say: Say,
    within: str | None = None,
    **run: object,
) -> None:
    """Take users out of the home, and prove it. `say` is told each step.

    `within`: a run that is not waited for. `run`: further arguments of the run that makes the fast
    lane again.
    Raises `ConfigError` while a run is going on, `CurecError` when something still knows the user.
    """
    for text in fail_dead_runs(instance):  # such as one of an erasure that was killed
        say(text)
    busy = unended_run(instance, but=within)
    if busy:
        raise ConfigError(f"{busy} is going on; wait for its end or cancel it, then forget again")
    items = {user_id: _items(warehouse, user_id) for user_id in user_ids}
    for user_id in user_ids:
        found = forget(user_id, recipes, warehouse, store, fitted=FITTED)
        say(f"{len(found.event_ids)} events, and what was made for them, are taken out")
    for journal in list(Path(store.root).glob(_JOURNALS)):
        set_aside(journal)
    follow = [name for name in ("events", *FAST) if name in _made(recipes, warehouse, store)]
    if follow:
        say("the fast lane is made again from what is left")
        result = interruptible(
            definitions.resolve_job_def("everything"),
            instance,
            raise_on_error=False,
            asset_selection=[dg.AssetKey(name) for name in follow],
            **run,
        )
        if not result.success:
            raise CurecError(
                f"run {result.run_id} failed; see it in `make ui`, then forget again: it goes on"
            )
    for earlier in list(Path(store.root).glob(str(set_aside_from(Path(_JOURNALS))))):
        earlier.unlink()
    dagster_home = _dagster_home()
    for run_id in _runs_that_name(user_ids, instance):
        delete_run(instance, run_id)
        say(f"run {run_id} named a user and is deleted from Dagster's records")
    if dagster_home:
        _compact(dagster_home)
    left = [
        trace
        for user_id in user_ids
        for trace in traces(user_id, items[user_id], warehouse, store, dagster_home)
    ]
    if left:
        raise CurecError("a user is still known:\n  " + "\n  ".join(left))
    models = tainted(store, FITTED)
    say(f"nothing in this home knows {_them(user_ids)} any more")
    if models:
        say(f"fitted on events that are taken out, until `retrain`: {', '.join(models)}")


def _them(user_ids: Sequence[str]) -> str:
    """Without naming anybody: what is said here may be kept."""
    return "the user" if len(user_ids) == 1 else f"the {len(user_ids)} users"


def _items(warehouse: Warehouse, user_id: str) -> list[str]:
    """The user's items in the order of time, as far as the home still knows them."""
    if not warehouse.has("interactions"):
        return []
    rows = warehouse.matching("interactions", pl.DataFrame({"user_id": [user_id]}))
    return rows.sort("timestamp", "event_id")["item_id"].to_list()


def _made(recipes: Sequence[Recipe], warehouse: Warehouse, store: ModelStore) -> set[str]:
    """Assets that the home has; a report that showed people was removed, and counts."""
    tables = warehouse.tables()
    return {
        recipe.name
        for recipe in recipes
        if recipe.name in tables or store.current_fingerprint(recipe.name)
    }


def _dagster_home() -> Path | None:
    home = os.environ.get("DAGSTER_HOME")
    return Path(home) if home else None


def _runs_that_name(user_ids: Sequence[str], instance: dg.DagsterInstance) -> Iterator[str]:
    """Runs with an event that has a user's id as a value of its own."""
    marks = [
        f"{a}{each}{b}" for each in user_ids for a, b in (('"', '"'), ("'", "'"), ("| ", " |"))
    ]
    for run in instance.get_runs():
        events = instance.all_logs(run.run_id)
        if any(mark in repr(event) for event in events for mark in marks):
            yield run.run_id


def _compact(folder: Path) -> None:
    """Write Dagster's SQLite files anew, without what deleted rows left in them."""
    for file in sorted(folder.rglob("*.db")):
        with sqlite3.connect(file, timeout=_SECONDS_FOR_A_LOCK) as connection:
            connection.execute("VACUUM")
        connection.close()
