"""Taking up an earlier policy again, with all that was made together with it; nothing is trained.

First what is stored, then Dagster's records: a step that reads meanwhile has recorded older
versions, so the fast lane finds it stale. A switch that is cut short is noted in the home; until
the same command has gone on, nothing follows what is half one policy's and half another's.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import dagster as dg

from curec_assets.automation.lanes import FAST, INGEST, SLOW
from curec_assets.automation.staleness import staleness
from curec_assets.automation.unended import unended_run
from curec_assets.core.recipe import Recipe
from curec_assets.policy.archive import (
    ARCHIVE,
    MODELS,
    TABLES,
    Version,
    archived_manifest,
    archived_models,
    archived_rows,
    begin_switch,
    end_switch,
    members,
    present_members,
)
from curec_assets.settings import Profile
from resources.errors import ArtifactError, ConfigError
from resources.storage.manifest import Manifest
from resources.storage.model_store import Artifact, ModelStore
from resources.storage.warehouse import Warehouse

_EVENTS_AT_ONCE = 100
_DATA_VERSION = "dagster/data_version"


def kept_policy(store: ModelStore, policy: str) -> Manifest:
    """The manifest of the archive whose fingerprint begins so.

    Raises `ConfigError` when there is none, or several.
    """
    kept = store.versions(ARCHIVE)
    found = [each for each in kept if policy and each.fingerprint.startswith(policy)]
    if len(found) != 1:
        said = ", ".join(each.fingerprint for each in found or kept) or "none yet"
        raise ConfigError(
            f"{'several policies begin with' if found else 'no policy is kept as'} {policy!r}; "
            f"choose one of: {said} (`curec policies` tells more)"
        )
    return found[0]


def use_policy(
    policy: str,
    recipes: Sequence[Recipe],
    warehouse: Warehouse,
    store: ModelStore,
    instance: dg.DagsterInstance,
    *,
    discard: bool = False,
) -> Manifest:
    """Make an archived policy current, with all that belongs to it; its archive's manifest.

    Interrupted anywhere, the same call goes on. Raises `ConfigError` for an unknown policy,
    `ArtifactError` when something of it is missing or damaged, when a run has not ended, or when a
    present table would be lost that no archive holds (unless `discard`); nothing has changed then.
    """
    chosen = kept_policy(store, policy)
    archive = store.find(ARCHIVE, chosen.fingerprint)
    if archive is None:
        raise ArtifactError(f"policy {chosen.fingerprint} was removed from {store.root} just now")
    models = archived_models(chosen, store)
    made = {
        **{name: archived_manifest(archive.path, name) for name in TABLES},
        **{name: model.manifest for name, model in models.items()},
        ARCHIVE: chosen,
    }
    busy = unended_run(instance)
    if busy:
        raise ArtifactError(f"{busy} has not ended, and may read what would change; wait for it")
    if not discard:
        _require_nothing_lost(warehouse, store)
    begin_switch(store, chosen.fingerprint)
    _restore(archive, models, warehouse, store)
    for event in _as_before(recipes, made, instance):
        instance.report_runless_asset_event(event)
    end_switch(store)
    return chosen


def waiting_for(
    recipes: Sequence[Recipe], profile: Profile, store: ModelStore, instance: dg.DagsterInstance
) -> list[str]:
    """Why the fast lane does not follow the policy now: settings or code that it was not made for.

    Checks that failed are not asked.
    """
    found = staleness(
        instance,
        recipes,
        profile,
        store=Path(store.root),
        blocking={},
        trained=SLOW,
        followed=(*INGEST, *FAST),
    )
    return sorted({found.held[name] for name in SLOW if name in found.held})


def _require_nothing_lost(warehouse: Warehouse, store: ModelStore) -> None:
    kept: set[tuple[str, Version]] = {
        item for archive in store.versions(ARCHIVE) for item in members(archive).items()
    }
    lost = [
        f"{name} ({version[0]})"
        for name, version in present_members(warehouse, store).items()
        if name in TABLES and (name, version) not in kept
    ]
    if lost:
        raise ArtifactError(
            f"no archive holds the present {', '.join(lost)}: it would be lost. Materialise "
            f"{ARCHIVE!r} first, which keeps the present policy, or give --discard"
        )


def _restore(
    archive: Artifact, models: Mapping[str, Artifact], warehouse: Warehouse, store: ModelStore
) -> None:
    warehouse.write_together(archived_rows(archive.path))
    for name in MODELS:
        store.set_current(name, models[name].manifest.fingerprint)
    store.set_current(ARCHIVE, archive.manifest.fingerprint)


def _as_before(
    recipes: Sequence[Recipe], made: Mapping[str, Manifest], instance: dg.DagsterInstance
) -> Iterator[dg.AssetMaterialization]:
    """What Dagster recorded of each member when it was made, to be recorded again."""
    upstream = {recipe.name: recipe.upstream for recipe in recipes}
    for name, manifest in made.items():
        recorded = _recorded(instance, manifest) or _from_manifest(manifest, upstream[name], made)
        yield dg.AssetMaterialization(
            asset_key=name,
            metadata={
                **recorded.metadata,
                "cached": True,
                "why": f"taken up again: policy {made[ARCHIVE].fingerprint}",
            },
            tags=recorded.tags,
        )


def _recorded(instance: dg.DagsterInstance, manifest: Manifest) -> dg.AssetMaterialization | None:
    """The last materialisation that settled on this very result; None where Dagster has none."""
    cursor: str | None = None
    while True:
        page = instance.fetch_materializations(
            dg.AssetKey(manifest.asset), limit=_EVENTS_AT_ONCE, cursor=cursor
        )
        for record in page.records:
            event = record.asset_materialization
            if (
                event is not None
                and event.metadata["fingerprint"].value == manifest.fingerprint
                and (event.tags or {}).get(_DATA_VERSION) == manifest.data_version
            ):
                return event
        if not page.has_more:
            return None
        cursor = page.cursor


def _from_manifest(
    manifest: Manifest, upstream: Sequence[str], made: Mapping[str, Manifest]
) -> dg.AssetMaterialization:
    """As far as the manifest tells: for a home whose Dagster records are not those of that time."""
    versions = {name: made[name].data_version for name in upstream if name in made}
    return dg.AssetMaterialization(
        asset_key=manifest.asset,
        metadata={
            "fingerprint": manifest.fingerprint,
            "code": dg.MetadataValue.json(manifest.code),
            "manifest": dg.MetadataValue.json(
                manifest.model_dump(mode="json", exclude={"files", "code"})
            ),
        },
        tags={
            _DATA_VERSION: manifest.data_version,
            **{f"dagster/input_data_version/{name}": each for name, each in versions.items()},
        },
    )
