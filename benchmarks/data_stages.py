"""The stages of `make bench-data` and `make bench-ingest`, each in a process of its own.

`python -m benchmarks.data_stages STAGE FOLDER CHOSEN` prints one JSON line: seconds, gigabytes (the
process's high-water mark, with everything that it imports), and what else is to be told.
"""

import json
import os
import shutil
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from resources.compute.memory import peak_bytes

if TYPE_CHECKING:
    from resources.storage.warehouse import Warehouse

SEED = 0
PROFILE = """
extends = "smoke"

[data]
source = "files"
interactions_path = "inbox"
items_path = "items.parquet"
attribute_columns = ["category", "brand"]
"""
SPLIT_PROFILE = """
extends = "smoke"

[data]
source = "files"
interactions_path = "{path}"
user_column = "user_id:token"
item_column = "item_id:token"
rating_column = "rating:float"
time_column = "timestamp:float"
"""
ASSETS = {
    "items": ("raw_items", "items"),
    "reviews": ("events",),
    "ledger": ("events", "batches", "quarantine"),
    "interactions": ("interactions",),
    "splits": ("training_snapshot", "event_splits"),
}
"""Stage → assets, with their checks."""


def main() -> None:
    """One stage."""
    stage, folder, chosen = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    os.environ["TQDM_DISABLE"] = "1"
    match stage:
        case "histories":
            found = histories(folder, chosen)
        case "evidence":
            found = evidence(folder, chosen)
        case "load and split":
            found = load_and_split(folder)
        case "reviews":  # a few first: what is imported when it is used is not counted
            for each in (folder.parent / "few", folder):
                shutil.rmtree(each / "home", ignore_errors=True)
                found = materialised(stage, each)
        case _:
            found = materialised(stage, folder)
    peak = peak_bytes() / 1e9
    print(json.dumps({"gigabytes": peak, **found}))


def materialised(stage: str, folder: Path) -> Mapping[str, Any]:
    """One run over the assets of a stage, by Dagster."""
    import dagster as dg

    from curec_assets.definitions import build_definitions

    definitions = build_definitions(profile=str(folder / "own.toml"), home=folder / "home")
    began = time.perf_counter()
    with dg.DagsterInstance.ephemeral() as instance:
        definitions.resolve_job_def("everything").execute_in_process(
            instance=instance, asset_selection=[dg.AssetKey(name) for name in ASSETS[stage]]
        )
    return {"seconds": time.perf_counter() - began}


def histories(folder: Path, chosen: int) -> Mapping[str, Any]:
    """Of the chosen events, from all events of the snapshot."""
    from curec_assets.datasets.histories import histories_of
    from curec_assets.settings import load_profile

    most = load_profile(str(folder / "own.toml")).data.max_history
    began = time.perf_counter()
    columns = ["event_id", "user_id", "item_id", "rating", "liked", "timestamp"]
    log = warehouse(folder).read("event_splits", columns)
    found = histories_of(chosen_of(log, chosen), log, most)
    return {"seconds": time.perf_counter() - began, "rows": found.height}


def evidence(folder: Path, chosen: int) -> Mapping[str, Any]:
    """Of the chosen events, from all events of the snapshot, as `evidence_numbers` does it."""
    from curec_assets.evidence.event_log import COLUMNS_READ, EventLog
    from curec_assets.evidence.numbers import EvidenceNumbers
    from curec_assets.evidence.text_components import TextComponents
    from curec_assets.settings import load_profile

    settings = load_profile(str(folder / "own.toml")).evidence
    tables = warehouse(folder)
    began = time.perf_counter()
    texts = TextComponents.of(
        pl.read_parquet(folder / "embeddings" / "*.parquet"), settings.text_components, SEED
    )
    parts = {"texts": time.perf_counter() - began}
    log = EventLog(tables.read("training_snapshot", COLUMNS_READ))
    parts["log"] = time.perf_counter() - began - parts["texts"]
    asked = chosen_of(tables.read("training_snapshot", ["user_id", "item_id", "timestamp"]), chosen)
    numbers = EvidenceNumbers(
        log,
        tables.read("items", ["item_id", "year", "attributes"]),
        texts,
        settings,
        SEED,
        fits=folder / "fits",
    )
    found, seconds = numbers.read_timed(asked)
    return {
        "seconds": time.perf_counter() - began,
        "rows": found.height,
        "parts": parts | seconds,
    }


def load_and_split(folder: Path) -> Mapping[str, Any]:
    """One file, as RecBole reads it, to events with ids, labels and splits; without imports."""
    import duckdb  # noqa: F401  (hashes ids and hands them over by PyArrow; imports do not count)
    import pyarrow as pa  # noqa: F401

    from curec_assets.datasets.interactions import build_interactions
    from curec_assets.datasets.ledger import read_all
    from curec_assets.datasets.sources.files import FilesSource
    from curec_assets.datasets.splits import assign_splits
    from curec_assets.settings import load_profile

    profile = load_profile(str(folder / "split.toml"))
    began = time.perf_counter()
    current = read_all(FilesSource(profile.data))
    found = build_interactions(
        current, current["item_id"].unique(), liked_threshold=profile.data.liked_threshold
    )
    del current
    rows = assign_splits(found.events, profile.split, SEED)
    seconds = time.perf_counter() - began
    sizes = dict(rows.group_by("split").len().iter_rows())
    return {
        "seconds": seconds,
        "events": [sizes[name] for name in ("train", "validation", "test")],
    }


def chosen_of(events: pl.DataFrame, count: int) -> pl.DataFrame:
    """Events drawn from those of all times."""
    return events.sample(min(count, events.height), seed=SEED)


def warehouse(folder: Path) -> "Warehouse":
    """That of the home."""
    from curec_assets.definitions import default_resources

    found: Warehouse = default_resources(str(folder / "own.toml"), folder / "home")["warehouse"]
    return found


if __name__ == "__main__":
    main()
