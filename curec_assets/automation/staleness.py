"""What is no longer as it would be made now, and why: level-triggered, from Dagster's records.

Each asset's last materialisation tells what it was made from: data versions of its upstream as the
step began, settings, code. Compared with what is now, nothing is forgotten: a run that failed, and
one that read what changed while it ran, leave the asset stale, and it is found again.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import dagster as dg

from curec_assets.core.accepted_code import acceptance
from curec_assets.core.recipe import WAITING, Recipe, differing
from curec_assets.policy.archive import unfinished_switch
from curec_assets.settings import Profile

_DATA_VERSION = "dagster/data_version"
_INPUT = "dagster/input_data_version/"


@dataclass(frozen=True)
class Staleness:
    """What is to be made again, why, and what cannot be."""

    order: tuple[Recipe, ...]
    """Upstream first."""
    stale: Mapping[str, tuple[str, ...]]
    """Asset → why, in words."""
    missing: Collection[str]
    """Never made."""
    held: Mapping[str, str]
    """Asset → why it cannot follow now, stale or not."""

    def following(self, among: Collection[str], also: Collection[str] = ()) -> dict[str, str]:
        """Asset of `among` → why it is to be made now: stale ones, and what is below them.

        `also`: made in any case. Nothing that is held or has an upstream that is missing, nor
        anything below it.
        """
        found: dict[str, str] = {}
        stopped = set(self.held)
        for recipe in self.order:
            name, upstream = recipe.name, recipe.upstream
            absent = {each for each in upstream if each in self.missing and each not in found}
            if stopped & {name, *upstream} or absent:
                stopped.add(name)
            elif name in also:
                found[name] = "asked for"
            elif name in among and name in self.stale:
                found[name] = "; ".join(self.stale[name])
            elif name in among and (above := [each for each in upstream if each in found]):
                found[name] = f"is below {above[0]}"
        return found


def staleness(
    instance: dg.DagsterInstance,
    recipes: Sequence[Recipe],
    profile: Profile,
    *,
    store: Path,
    blocking: Mapping[str, Collection[dg.AssetCheckKey]],
    trained: Collection[str],
    followed: Collection[str],
) -> Staleness:
    """What is stale now, of `recipes`.

    `store`: the model store's folder, for accepted code. `blocking`: asset → its blocking checks;
    what reads an asset whose check failed is held. `followed`: assets that follow by themselves.
    `trained`: assets that only `retrain` makes; what they reach is held while one of them has other
    code than it was made with, or other settings which those that are followed read too, so that no
    text is written with one prompt by a model that was tuned on another; and while
    `curec use-policy` is unfinished.
    """
    order = _upstream_first(recipes)
    shared = frozenset(
        path
        for recipe in order
        if recipe.name in followed
        for path in recipe.settings_read(profile)
    )
    switching = unfinished_switch(store)
    made = _last_materialisations(instance, [recipe.name for recipe in order])
    stale: dict[str, tuple[str, ...]] = {}
    held: dict[str, str] = {}
    broken: dict[str, str] = {}
    for recipe in order:
        name, event = recipe.name, made.get(recipe.name)
        if event is None:
            stale[name] = ("was never made",)
            binding: tuple[str, ...] = ()
        else:
            code = tuple(_code_causes(recipe, event, store))
            settings = _setting_causes(recipe, event, profile)
            binding = (*code, *(settings[path] for path in settings if path in shared))
            causes = (
                *code,
                *settings.values(),
                *_upstream_causes(recipe, event, made),
                *_waiting_causes(event),
            )
            stale |= {name: causes} if causes else {}
            broken |= _failed(instance, name, event, blocking.get(name, ()))
        reasons = [broken[each] for each in recipe.upstream if each in broken]
        reasons += [held[each] for each in recipe.upstream if each in held and each in trained]
        if name in trained and binding:
            reasons.append(f"{name} waits for `retrain`: {'; '.join(binding)}")
        if name in trained and switching:
            reasons.append(f"`curec use-policy {switching}` was interrupted; give it again")
        if reasons:
            held[name] = reasons[0]
    missing = frozenset(recipe.name for recipe in order) - frozenset(made)
    return Staleness(order, stale, missing, held)


def inputs_of_last(instance: dg.DagsterInstance, name: str) -> Mapping[str, str]:
    """Name → version of what the last materialisation of an asset was made from; empty: never."""
    event = _last_materialisations(instance, [name]).get(name)
    if event is None:
        return {}
    manifest: Any = _value(_materialisation(event).metadata, "manifest")
    found: Mapping[str, str] = manifest["inputs"]
    return found


def _upstream_first(recipes: Sequence[Recipe]) -> tuple[Recipe, ...]:
    named = {recipe.name: recipe for recipe in recipes}
    graph = {recipe.name: recipe.upstream for recipe in recipes}
    return tuple(named[name] for name in TopologicalSorter(graph).static_order())


def _last_materialisations(
    instance: dg.DagsterInstance, names: Sequence[str]
) -> dict[str, dg.EventLogEntry]:
    records = instance.get_asset_records([dg.AssetKey(name) for name in names])
    return {
        record.asset_entry.asset_key.to_user_string(): entry
        for record in records
        if (entry := record.asset_entry.last_materialization) is not None
    }


def _code_causes(recipe: Recipe, event: dg.EventLogEntry, store: Path) -> Iterator[str]:
    metadata = _materialisation(event).metadata
    manifest: Any = _value(metadata, "manifest")
    accepted = acceptance(store, recipe.name, recipe.code_version)
    if manifest["code_version"] != (accepted.same_as if accepted else recipe.code_version):
        files = differing(_value(metadata, "code"), recipe.code) or ["the asset"]
        yield f"code of {', '.join(files)} changed"


def _setting_causes(recipe: Recipe, event: dg.EventLogEntry, profile: Profile) -> Mapping[str, str]:
    """Path of a setting that changed → how, in words."""
    metadata = _materialisation(event).metadata
    manifest: Any = _value(metadata, "manifest")
    recorded = metadata.get("settings")
    before: Any = recorded.value if recorded else manifest["config"]  # of an older CURec
    now = recipe.settings_read(profile)
    now = now if recorded else {path: now[path] for path in now if path in before}
    return {
        path: f"setting {path} {before.get(path)} → {now.get(path)}"
        for path in differing(before, now)
    }


def _upstream_causes(
    recipe: Recipe, event: dg.EventLogEntry, made: Mapping[str, dg.EventLogEntry]
) -> Iterator[str]:
    tags = _materialisation(event).tags or {}
    for name in recipe.upstream:
        now = (_materialisation(made[name]).tags or {})[_DATA_VERSION] if name in made else None
        if now is not None and tags.get(f"{_INPUT}{name}") != now:
            yield f"{name} is now {now}"


def _waiting_causes(event: dg.EventLogEntry) -> Iterator[str]:
    manifest: Any = _value(_materialisation(event).metadata, "manifest")
    waiting = manifest["metrics"].get(WAITING)
    if waiting:
        yield f"{waiting} rows wait"


def _failed(
    instance: dg.DagsterInstance,
    name: str,
    event: dg.EventLogEntry,
    checks: Collection[dg.AssetCheckKey],
) -> dict[str, str]:
    """Asset → what failed, where a blocking check of this very materialisation did."""
    storage = instance.event_log_storage
    for record in storage.get_latest_asset_check_execution_by_key(list(checks)).values():
        found = record.event
        evaluation = found.asset_check_evaluation if found else None
        if (
            found
            and evaluation
            and not evaluation.passed
            and evaluation.severity == dg.AssetCheckSeverity.ERROR
            and found.timestamp >= event.timestamp
        ):
            return {name: f"check {evaluation.check_name} of {name} failed"}
    return {}


def _materialisation(event: dg.EventLogEntry) -> dg.AssetMaterialization:
    found = event.asset_materialization
    if found is None:
        raise TypeError(f"event {event.message!r} is no materialisation")
    return found


def _value(metadata: Mapping[str, dg.MetadataValue], name: str) -> Any:
    return metadata[name].value
