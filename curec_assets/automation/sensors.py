"""Sensors: one watches the source's files, one evaluates the fast lane's condition."""

import hashlib
import json
from pathlib import Path

import dagster as dg

from curec_assets.automation.lanes import INGEST
from curec_assets.settings import Settings

fast_lane = dg.AutomationConditionSensorDefinition(
    "fast_lane",
    target=dg.AssetSelection.all(),
    default_status=dg.DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=30,
    description="Materialises what follows from changed data, code or policy.",
)


@dg.sensor(
    name="source_files",
    target=dg.AssetSelection.assets(*INGEST),
    default_status=dg.DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=60,
)
def source_files(
    context: dg.SensorEvaluationContext, settings: Settings
) -> dg.SensorResult | dg.SkipReason:
    """Ingests the configured files when their content has changed; the fast lane does the rest."""
    data = settings.resolve().data
    if data.source != "files":
        return dg.SkipReason(f"source {data.source!r} has no files to watch")
    files = [Path(data.interactions_path), Path(data.items_path)]
    missing = [str(file) for file in files if not file.is_file()]
    if missing:
        return dg.SkipReason(f"not there: {', '.join(missing)}")

    seen = json.loads(context.cursor or '{"stat": null, "content": "", "key": ""}')
    stat = [[file.stat().st_size, file.stat().st_mtime_ns] for file in files]
    if stat == seen["stat"]:
        return dg.SkipReason("files are untouched")
    content = _digest(*(_file_digest(file) for file in files))
    changed = content != seen["content"]
    # Run keys are remembered for ever. Chaining the hashes lets content that comes back after a
    # change be ingested again, while a repeated tick still asks for the same run only once.
    key: str = _digest(seen["key"], content) if changed else seen["key"]
    return dg.SensorResult(
        run_requests=[dg.RunRequest(run_key=key)] if changed else [],
        cursor=json.dumps({"stat": stat, "content": content, "key": key}),
    )


def _digest(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _file_digest(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


SENSORS = (fast_lane, source_files)
