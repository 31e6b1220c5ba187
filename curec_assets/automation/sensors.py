"""Sensors: one follows whatever changed, one watches the source's files.

Not declarative automation: its conditions are edge-triggered. A request counts as handled even if
its run fails, or reads input that changes meanwhile; and each layer waits for a tick of its own.
"""

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from textwrap import shorten

import dagster as dg

from curec_assets.automation.attempts import ATTEMPTS, Asked
from curec_assets.automation.lanes import FAST, INGEST, REFIT, SLOW
from curec_assets.automation.staleness import Staleness, inputs_of_last, staleness
from curec_assets.automation.unended import unended_run
from curec_assets.core.recipe import Recipe
from curec_assets.datasets.sources.files import FilesSource
from curec_assets.datasets.sources.inbox import files_in, is_there, marked_done, state
from curec_assets.datasets.sources.remote import is_remote
from curec_assets.settings import Settings
from resources.storage.model_store import ModelStore
from resources.urls import shown

WHY = "curec/why"
"""Tag of a run: what it was asked for, and because of what."""
ATTEMPT = "curec/attempt"
"""Tag of a run: how often the same has been asked for."""
_WORDS = 1000  # characters of a tag or a message


@dataclass(frozen=True)
class _Seen:
    """The cursor of the source's files."""

    stat: dict[str, list[int]] | None = None
    """Name → size and time of each at the last look."""
    settled: bool = False
    """Whether the content at `stat` has been looked at."""
    there: dict[str, dict[str, str]] = field(default_factory=dict)
    """Asset → fingerprint of the file that it is read from, as of the last settled look."""
    asked: Asked = field(default_factory=Asked)

    @classmethod
    def read(cls, cursor: str | None) -> "_Seen":
        """From the cursor's text."""
        values = json.loads(cursor) if cursor else {}
        return cls(**{**values, "asked": Asked(**values.get("asked", {}))})


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
            followed=(*INGEST, *FAST),
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
        busy = unended_run(context.instance)
        if busy:
            return dg.SkipReason(f"waits for the end of {busy}")
        found = now(context, settings, model_store)
        read_before = [name for name in INGEST if name not in found.missing]
        wanted = found.following((*read_before, *FAST))
        if not wanted:
            return dg.SensorResult(skip_reason=_nothing_to_do(found), cursor=_written(Asked()))
        asked = _read(context.cursor)
        # What is asked for again was not made by the run before: it failed, or read older input.
        what = _digest(*(f"{name} {why}" for name, why in sorted(wanted.items())))
        if what != asked.what:
            asked = Asked(what)
        if asked.in_vain:
            return dg.SkipReason(
                f"asked {ATTEMPTS} times in vain: {_words(wanted)}. See the last run's error; "
                "then materialise by hand, or change what is wrong, and the lane goes on"
            )
        if wait := asked.wait():
            return dg.SkipReason(f"tries again in {wait:.0f} s: {_words(wanted)}")
        asked = asked.once_more()
        request = dg.RunRequest(
            asset_selection=[dg.AssetKey(name) for name in wanted],
            tags={WHY: _words(wanted), ATTEMPT: str(asked.attempts)},
        )
        return dg.SensorResult(run_requests=[request], cursor=_written(asked))

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
        for path in (data.interactions_path, data.items_path):
            if is_remote(path):
                return dg.SkipReason(f"{shown(path)} is elsewhere, and is read when a run asks")
        arriving = Path(data.interactions_path)
        items = [Path(data.items_path)] if data.items_path else []
        missing = [str(path) for path in (arriving, *items) if not is_there(path)]
        if missing:
            return dg.SkipReason(f"not there: {', '.join(missing)}")
        came = files_in(arriving)
        if not came:
            return dg.SkipReason(f"nothing has come into {arriving} yet")
        files = [*came, *items]

        seen = _Seen.read(context.cursor)
        stat = {file.name: list(state(file)) for file in files}
        last = seen.stat or {}
        moving = [f for f in files if last.get(f.name) != stat[f.name] and not marked_done(f)]
        if stat != seen.stat:
            seen = replace(seen, stat=stat, settled=False)
        if moving:  # perhaps still being written
            return _no_run("files have changed; read once they stand still for a look", seen)
        if not seen.settled:
            seen = _looked_at(seen, FilesSource(data))
        if all(inputs_of_last(context.instance, name) == seen.there[name] for name in seen.there):
            return _no_run("the files have been read", seen)
        busy = unended_run(context.instance)
        if busy:
            return _no_run(f"waits for the end of {busy}", seen)
        if seen.asked.in_vain:
            return _no_run(f"asked {ATTEMPTS} times in vain; see the last run's error", seen)
        if seen.asked.wait():
            return _no_run("the files are being read, or were not: tries again later", seen)
        wanted = now(context, settings, model_store).following(FAST, also=INGEST)
        asked = seen.asked.once_more()
        request = dg.RunRequest(
            run_key=f"{asked.what} {asked.attempts}",
            asset_selection=[dg.AssetKey(name) for name in wanted],
            tags={
                WHY: f"content of {' or '.join(each.name for each in (arriving, *items))} changed",
                ATTEMPT: str(asked.attempts),
            },
        )
        return dg.SensorResult(run_requests=[request], cursor=_written(replace(seen, asked=asked)))

    return fast_lane, source_files


def _looked_at(seen: _Seen, source: FilesSource) -> _Seen:
    """With the content that is there now; what was asked is asked anew when it is another."""
    there = {
        "events": source.interactions_fingerprint(),
        "raw_items": source.items_fingerprint(),
    }
    seen = replace(seen, settled=True)
    if there == seen.there:
        return seen
    # Run keys are remembered for ever. Chaining the hashes lets content that comes back after a
    # change be read again, while a repeated tick still asks for the same run only once.
    return replace(seen, there=there, asked=Asked(_digest(seen.asked.what, json.dumps(there))))


def _no_run(why: str, seen: _Seen) -> dg.SensorResult:
    return dg.SensorResult(skip_reason=why, cursor=_written(seen))


def _nothing_to_do(found: Staleness) -> str:
    held = [f"{name}: {found.held[name]}" for name in FAST if name in found.held]
    if held:
        return shorten(f"cannot follow: {'; '.join(held)}", _WORDS)
    trained = [name for name in (*REFIT, *SLOW) if name in found.stale]
    retrain = [f"{name}: {'; '.join(found.stale[name])}" for name in trained]
    said = f"; `retrain` would make again: {'; '.join(retrain)}" if retrain else ""
    return shorten(f"everything has followed{said}", _WORDS)


def _words(wanted: Mapping[str, str]) -> str:
    return shorten("; ".join(f"{name}: {why}" for name, why in wanted.items()), _WORDS)


def _read(cursor: str | None) -> Asked:
    return Asked(**json.loads(cursor)) if cursor else Asked()


def _written(cursor: Asked | _Seen) -> str:
    return json.dumps(asdict(cursor))


def _digest(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
