"""Sensors: one follows whatever changed, one watches the source's files.

Not declarative automation: its conditions are edge-triggered. A request counts as handled even if
its run fails, or reads input that changes meanwhile; and each layer waits for a tick of its own.
"""

import hashlib
import json
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from textwrap import shorten

import dagster as dg

from curec_assets.automation.lanes import FAST, INGEST, SLOW
from curec_assets.automation.staleness import Staleness, staleness
from curec_assets.core.recipe import Recipe
from curec_assets.settings import Settings
from resources.storage.model_store import ModelStore

WHY = "curec/why"
"""Tag of a run: what it was asked for, and because of what."""
_ATTEMPTS = 4
_BACKOFF = 60.0  # seconds before the second attempt; doubled before each further one
_WORDS = 1000  # characters of a tag or a message


@dataclass(frozen=True)
class _Asked:
    """The sensor's cursor: what was asked for last, and how often."""

    what: str = ""
    attempts: int = 0
    not_before: float = 0.0


@dataclass(frozen=True)
class _Seen:
    """The cursor of the source's files."""

    stat: list[list[int]] | None = None
    """Size and time of each at the last look."""
    content: str = ""
    """Hash of what was asked to be read last."""
    key: str = ""
    settled: bool = False
    """Whether the content at `stat` has been looked at."""


def sensors(
    recipes: Sequence[Recipe], blocking: Mapping[str, Collection[dg.AssetCheckKey]]
) -> tuple[dg.SensorDefinition, ...]:
    """The sensors of the assets of `recipes`; `blocking`: asset → its blocking checks."""

    def now(
        context: dg.SensorEvaluationContext, settings: Settings, model_store: ModelStore
    ) -> Staleness:
        return staleness(
            context.instance,
            recipes,
            settings.resolve(),
            store=Path(model_store.root),
            blocking=blocking,
            trained=SLOW,
        )

    @dg.sensor(
        name="fast_lane",
        target=dg.AssetSelection.assets(*INGEST, *FAST),
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=30,
        description="Asks for one run over all of the fast lane that is not as it would be made "
        "now: after new data, a new policy, changed code or settings, and after a failure, a few "
        "times, ever later.",
    )
    def fast_lane(
        context: dg.SensorEvaluationContext, settings: Settings, model_store: ModelStore
    ) -> dg.SensorResult | dg.SkipReason:
        going_on = _going_on(context.instance)
        if going_on:
            return dg.SkipReason(f"waits for the end of {going_on}")
        found = now(context, settings, model_store)
        read_before = [name for name in INGEST if name not in found.missing]
        wanted = found.following((*read_before, *FAST))
        if not wanted:
            return dg.SensorResult(skip_reason=_nothing_to_do(found), cursor=_written(_Asked()))
        asked = _read(context.cursor)
        # What is asked for again was not made by the run before: it failed, or read older input.
        what = _digest(*(f"{name} {why}" for name, why in sorted(wanted.items())))
        if what != asked.what:
            asked = _Asked(what)
        if asked.attempts >= _ATTEMPTS:
            return dg.SkipReason(
                f"asked {_ATTEMPTS} times in vain: {_words(wanted)}. See the last run's error; "
                "then materialise by hand, or change what is wrong, and the lane goes on"
            )
        if time.time() < asked.not_before:
            wait = asked.not_before - time.time()
            return dg.SkipReason(f"tries again in {wait:.0f} s: {_words(wanted)}")
        attempts = asked.attempts + 1
        return dg.SensorResult(
            run_requests=[
                dg.RunRequest(
                    asset_selection=[dg.AssetKey(name) for name in wanted],
                    tags={WHY: _words(wanted), "curec/attempt": str(attempts)},
                )
            ],
            cursor=_written(_Asked(what, attempts, time.time() + _BACKOFF * 2 ** (attempts - 1))),
        )

    @dg.sensor(
        name="source_files",
        target=dg.AssetSelection.assets(*INGEST, *FAST),
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=15,
        description="Asks for one run from the configured files to the recommendations when the "
        "content of the files has changed.",
    )
    def source_files(
        context: dg.SensorEvaluationContext, settings: Settings, model_store: ModelStore
    ) -> dg.SensorResult | dg.SkipReason:
        data = settings.resolve().data
        if data.source != "files":
            return dg.SkipReason(f"source {data.source!r} has no files to watch")
        files = [Path(data.interactions_path), Path(data.items_path)]
        missing = [str(file) for file in files if not file.is_file()]
        if missing:
            return dg.SkipReason(f"not there: {', '.join(missing)}")

        seen = _Seen(**json.loads(context.cursor)) if context.cursor else _Seen()
        stat = [[file.stat().st_size, file.stat().st_mtime_ns] for file in files]
        if stat != seen.stat:  # perhaps still being written
            moving = replace(seen, stat=stat, settled=False)
            return dg.SensorResult(
                skip_reason="files have changed; read once they stand still for a look",
                cursor=_written(moving),
            )
        if seen.settled:
            return dg.SkipReason("files are untouched")
        content = _digest(*(_file_digest(file) for file in files))
        if content == seen.content:
            return dg.SensorResult(
                skip_reason="files were touched, their content is the same",
                cursor=_written(replace(seen, settled=True)),
            )
        # Run keys are remembered for ever. Chaining the hashes lets content that comes back after
        # a change be ingested again, while a repeated tick still asks for the same run only once.
        key = _digest(seen.key, content)
        wanted = now(context, settings, model_store).following(FAST, also=INGEST)
        request = dg.RunRequest(
            run_key=key,
            asset_selection=[dg.AssetKey(name) for name in wanted],
            tags={WHY: f"content of {' or '.join(file.name for file in files)} changed"},
        )
        return dg.SensorResult(
            run_requests=[request], cursor=_written(_Seen(stat, content, key, settled=True))
        )

    return fast_lane, source_files


def _going_on(instance: dg.DagsterInstance) -> str:
    """A run that has not ended, in words; empty when there is none."""
    runs = instance.get_runs(
        dg.RunsFilter(
            statuses=[
                dg.DagsterRunStatus.QUEUED,
                dg.DagsterRunStatus.NOT_STARTED,
                dg.DagsterRunStatus.STARTING,
                dg.DagsterRunStatus.STARTED,
                dg.DagsterRunStatus.CANCELING,
            ]
        ),
        limit=1,
    )
    return " ".join(f"run {run.run_id} ({run.job_name})" for run in runs)


def _nothing_to_do(found: Staleness) -> str:
    held = [f"{name}: {found.held[name]}" for name in FAST if name in found.held]
    if held:
        return shorten(f"cannot follow: {'; '.join(held)}", _WORDS)
    retrain = [f"{name}: {'; '.join(found.stale[name])}" for name in SLOW if name in found.stale]
    said = f"; `retrain` would make again: {'; '.join(retrain)}" if retrain else ""
    return shorten(f"everything has followed{said}", _WORDS)


def _words(wanted: Mapping[str, str]) -> str:
    return shorten("; ".join(f"{name}: {why}" for name, why in wanted.items()), _WORDS)


def _read(cursor: str | None) -> _Asked:
    return _Asked(**json.loads(cursor)) if cursor else _Asked()


def _written(cursor: _Asked | _Seen) -> str:
    return json.dumps(asdict(cursor))


def _digest(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _file_digest(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
