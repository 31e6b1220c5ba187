"""From a recipe to a Dagster asset: find what is stored, or do the work and store it.

The one way in which an asset does its work and records it. A stored result with the same
fingerprint is taken as it is (`cached: true`); else the recipe's function is called. Either way the
materialisation has its content-hash data version, its manifest, and says why work was done or not.
"""

import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl

from curec_assets.core.accepted_code import Acceptance, acceptance
from curec_assets.core.growing import write_change, write_whole
from curec_assets.core.inputs import Inputs, UndeclaredRead, declared_settings, values_at
from curec_assets.core.metadata import as_metadata
from curec_assets.core.provenance import content_hash, digest, fingerprint
from curec_assets.core.recipe import Recipe, explain, is_finished, only_changed
from curec_assets.core.step_process import end_with_the_run
from curec_assets.core.tracking import report, tracked_run
from curec_assets.settings import Profile
from resources.errors import ArtifactError, ConfigError, DataError
from resources.storage.manifest import Manifest
from resources.storage.model_store import Artifact, ModelStore, hash_files
from resources.storage.warehouse import StoredTable, Warehouse
from resources.tracking import require_installed

_REFUSALS = (DataError, ConfigError, ArtifactError, UndeclaredRead)
"""What would come again if it were tried again."""
_ALWAYS = ("settings", "warehouse", "model_store")


def as_asset(
    recipe: Recipe,
    *,
    owners: Sequence[str] = (),
    pool: str | None = None,
    retry_policy: dg.RetryPolicy | None = None,
    freshness_policy: dg.FreshnessPolicy | None = None,
) -> dg.AssetsDefinition:
    """The asset of a recipe, under the policies that are given from outside.

    Under a retry policy, what CURec refuses on purpose is a `dagster.Failure` that is not retried.
    """

    @dg.asset(
        name=recipe.name,
        description=recipe.description,
        group_name=recipe.group,
        kinds=set(recipe.kinds),
        deps=list(recipe.upstream),
        code_version=recipe.code_version,
        required_resource_keys={*_ALWAYS, *recipe.resources},
        owners=owners,
        pool=pool,
        retry_policy=retry_policy,
        freshness_policy=freshness_policy,
    )
    def materialise(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
        end_with_the_run()
        try:
            return _Work(context, recipe).result()
        except _REFUSALS as error:
            if retry_policy is None:
                raise
            raise dg.Failure(str(error), allow_retries=False) from error

    return materialise


class _Work:
    """One materialisation."""

    def __init__(self, context: dg.AssetExecutionContext, recipe: Recipe) -> None:
        self._recipe = recipe
        self._log = context.log
        resources = context.resources
        self._profile: Profile = resources.settings.resolve()
        require_installed(self._profile.tracking.report_to)
        self._warehouse: Warehouse = resources.warehouse
        self._store: ModelStore = resources.model_store
        self._resources = {role: getattr(resources, role) for role in recipe.resources}

    def result(self) -> dg.MaterializeResult[None]:
        recipe = self._recipe
        inputs = self._inputs(recipe.readable_settings(self._profile))
        if recipe.guard:
            recipe.guard(
                replace(
                    inputs,
                    settings=self._declared(
                        (*recipe.readable_settings(self._profile), *recipe.guard_settings)
                    ),
                )
            )
        view = self._view()
        inputs = replace(inputs, view=view)
        wanted, accepted = self._identity(view)
        previous = self._previous()
        stored = self._stored(wanted.fingerprint, previous)
        cached = stored is not None
        if stored is None:
            stored = self._make(inputs, wanted)
        if recipe.tracked:
            report(recipe.tracked, stored.content, stored.manifest, self._profile, self._store)
        shown = replace(
            inputs,
            tables=(*inputs.tables, *recipe.describe_tables),
            metrics=stored.manifest.metrics,
        )
        return self._told(stored, shown, cached=cached, previous=previous, accepted=accepted)

    def _inputs(self, paths: Sequence[str]) -> Inputs:
        recipe = self._recipe
        return Inputs(
            asset=recipe.name,
            settings=self._declared(paths),
            tables=recipe.tables,
            artifacts=recipe.artifacts,
            resources=self._resources,
            warehouse=self._warehouse,
            store=self._store,
            log=self._log.info,
            warn=self._log.warning,
        )

    def _declared(self, paths: Sequence[str]) -> Profile:
        return declared_settings(self._profile, paths, self._recipe.name)

    def _view(self) -> Any:
        recipe = self._recipe
        if recipe.view is None:
            return None
        inputs = self._inputs(recipe.readable_settings(self._profile, choosing=True))
        return recipe.view.choose(replace(inputs, tables=(*inputs.tables, *recipe.view.tables)))

    def _identity(self, view: Any) -> tuple[Manifest, Acceptance | None]:
        """What the result will be known by; and whether its code stands for an older one."""
        recipe = self._recipe
        manifests = self._warehouse.existing_manifests(recipe.tables)
        inputs = {name: self._version(manifest) for name, manifest in manifests.items()}
        inputs |= {
            name: self._version(self._store.current(name).manifest) for name in recipe.artifacts
        }
        inputs |= self._revisions()
        if view is not None:
            inputs |= recipe.view_versions(view)
        accepted = acceptance(Path(self._store.root), recipe.name, recipe.code_version)
        code_version = accepted.same_as if accepted else recipe.code_version
        config = values_at(self._profile, recipe.setting_paths(self._profile))
        identity = fingerprint(
            asset=recipe.name, code_version=code_version, config=config, inputs=inputs
        )
        return Manifest(
            asset=recipe.name,
            fingerprint=identity,
            data_version="",
            code_version=code_version,
            code=recipe.code,
            config=config,
            inputs=inputs,
            sources=recipe.sources_of(view),
            created_at=datetime.now(UTC),
        ), accepted

    def _revisions(self) -> dict[str, str]:
        """What models from outside are, by their content."""
        found = {}
        if "language_model" in self._resources:
            base = self._profile.language_model.base
            found["base_model"] = self._resources["language_model"].revision(base)
        if "text_encoder" in self._resources:
            source = self._profile.encoder.source
            found["text_encoder"] = f"{source} {self._resources['text_encoder'].revision(source)}"
        return found

    def _version(self, manifest: Manifest) -> str:
        if self._recipe.lineage:
            return f"{manifest.fingerprint} {manifest.data_version}"
        return manifest.data_version

    def _previous(self) -> Manifest | None:
        if self._recipe.writes == "table":
            return self._warehouse.manifest(self._recipe.name)
        try:
            return self._store.current(self._recipe.name).manifest
        except ArtifactError:  # never made, or damaged: it is made now
            return None

    def _stored(self, identity: str, manifest: Manifest | None) -> "_Stored | None":
        """What `manifest`, the last one, or a version of an artifact has already made of it."""
        name = self._recipe.name
        if self._recipe.writes == "table":
            if manifest is None or manifest.fingerprint != identity:
                return None
            if not is_finished(self._recipe, manifest):
                return None
            if self._recipe.update:
                return _Stored(manifest, StoredTable(self._warehouse, name))
            return _Stored(manifest, self._warehouse.read(name))
        found = self._store.find(name, identity)
        if found is None:
            return None
        self._store.set_current(name, identity)
        return _Stored(found.manifest, found)

    def _make(self, inputs: Inputs, wanted: Manifest) -> "_Stored":
        if self._recipe.writes == "artifact":
            return self._make_artifact(inputs, wanted)
        return self._updated(inputs, wanted) or self._make_table(inputs, wanted)

    def _updated(self, inputs: Inputs, wanted: Manifest) -> "_Stored | None":
        """The stored table with what has come since; None when it is to be built whole."""
        recipe = self._recipe
        if recipe.update is None:
            return None
        before = self._warehouse.manifest(recipe.name)
        if before is None or before.row_sum is None:
            return None
        started = time.monotonic()
        change = recipe.update(replace(inputs, before=before), wanted)
        if change is None:
            return None
        _require_promised(recipe, change.rows)
        manifest = write_change(recipe, self._warehouse, _timed(wanted, started), before, change)
        return _Stored(manifest, StoredTable(self._warehouse, recipe.name))

    def _make_table(self, inputs: Inputs, wanted: Manifest) -> "_Stored":
        recipe, folders = self._recipe, _Workspaces(self._store, self._recipe.name)
        started = time.monotonic()
        built = recipe.build(replace(inputs, folder_of_work=folders, earlier=self._earlier(wanted)))
        rows, metrics = built if isinstance(built, tuple) else (built, {})
        _require_promised(recipe, rows)
        if recipe.update:
            manifest = write_whole(recipe, self._warehouse, _timed(wanted, started), rows, metrics)
            return _Stored(manifest, StoredTable(self._warehouse, recipe.name))
        manifest = wanted.model_copy(
            update={
                "data_version": content_hash(rows, key=recipe.key),
                "metrics": dict(metrics),
                "row_count": rows.height,
                "seconds": round(time.monotonic() - started, 3),
                "created_at": datetime.now(UTC),
            }
        )
        self._warehouse.write(recipe.name, rows, manifest)
        if not recipe.keep_workspace:
            folders.remove()
        return _Stored(manifest, rows)

    def _earlier(self, wanted: Manifest) -> pl.DataFrame | None:
        """Stored rows that may be kept."""
        lasting = self._recipe.lasting
        before = self._warehouse.manifest(self._recipe.name) if lasting else None
        if before is None or before.erased_from or not only_changed(before, wanted, *lasting):
            return None
        return self._warehouse.read(self._recipe.name)

    def _make_artifact(self, inputs: Inputs, wanted: Manifest) -> "_Stored":
        name = self._recipe.name
        started = time.monotonic()
        with self._store.writing(name) as folder:
            work = self._store.workspace(name, wanted.fingerprint)
            metrics = self._recipe.build(
                replace(
                    inputs,
                    folder=folder,
                    folder_of_work=lambda _name: work,
                    tracking=tracked_run(wanted, self._profile, self._store),
                )
            )
            files = hash_files(folder)
            manifest = wanted.model_copy(
                update={
                    "data_version": digest(files),
                    "metrics": dict(metrics),
                    "files": files,
                    "seconds": round(time.monotonic() - started, 3),
                    "created_at": datetime.now(UTC),
                }
            )
            found = self._store.commit(folder, manifest)
        return _Stored(found.manifest, found)

    def _told(
        self,
        stored: "_Stored",
        inputs: Inputs,
        *,
        cached: bool,
        previous: Manifest | None,
        accepted: Acceptance | None,
    ) -> dg.MaterializeResult[None]:
        why = explain(previous, stored.manifest)
        if accepted:
            why += (
                f"; changed code of {', '.join(accepted.files)} was accepted on "
                f"{accepted.accepted_at:%Y-%m-%d} as not altering the result"
            )
        recipe, manifest = self._recipe, stored.manifest
        described = recipe.describe(stored.content, inputs) if recipe.describe else {}
        return dg.MaterializeResult(
            data_version=dg.DataVersion(manifest.data_version),
            metadata={
                "cached": cached,
                "why": why,
                "fingerprint": manifest.fingerprint,
                "code": dg.MetadataValue.json(recipe.code),
                "settings": dg.MetadataValue.json(recipe.settings_read(self._profile)),
                "manifest": dg.MetadataValue.json(
                    manifest.model_dump(mode="json", exclude={"files", "code", "sources"})
                ),
                **self._place_of(stored),
                **as_metadata(described),
            },
        )

    def _place_of(self, stored: "_Stored") -> Mapping[str, Any]:
        if isinstance(stored.content, Artifact):
            return {"dagster/uri": stored.content.path.as_uri()}
        return {
            "dagster/row_count": stored.manifest.row_count,
            "dagster/column_schema": _column_schema(
                self._recipe.schema or {}
                if isinstance(stored.content, StoredTable)
                else stored.content.schema,
                self._recipe.key,
            ),
            "dagster/uri": f"{self._warehouse.path}#{self._recipe.name}",
        }


class _Stored:
    """A manifest, and the rows, the table or the artifact that it is of."""

    def __init__(
        self, manifest: Manifest, content: "pl.DataFrame | StoredTable | Artifact"
    ) -> None:
        self.manifest = manifest
        self.content = content


class _Workspaces:
    """Folders for the unfinished work of a table, by name."""

    def __init__(self, store: ModelStore, asset: str) -> None:
        self._store, self._asset = store, asset
        self._given: list[Path] = []

    def __call__(self, name: str) -> Path:
        self._given.append(self._store.workspace(self._asset, name))
        return self._given[-1]

    def remove(self) -> None:
        for folder in self._given:
            shutil.rmtree(folder, ignore_errors=True)


def _timed(wanted: Manifest, started: float) -> Manifest:
    return wanted.model_copy(update={"seconds": round(time.monotonic() - started, 3)})


def _require_promised(recipe: Recipe, rows: pl.DataFrame) -> None:
    """Refuse rows that are not of the promised columns, or share a key: nothing is stored."""
    if recipe.schema is not None and dict(rows.schema) != dict(recipe.schema):
        raise ArtifactError(
            f"{recipe.name!r} made columns {dict(rows.schema)}, but its recipe promises "
            f"{dict(recipe.schema)}; nothing was stored. Correct the recipe or the function"
        )
    missing = [column for column in recipe.key if column not in rows.columns]
    if missing or rows.select(recipe.key).n_unique() < rows.height:
        raise ArtifactError(
            f"{recipe.name!r} made rows whose key ({', '.join(recipe.key)}) is "
            f"{'missing' if missing else 'not unique'}; nothing was stored. Correct its input"
        )


def _column_schema(columns: Mapping[str, Any], key: Sequence[str]) -> dg.TableSchema:
    unique = len(key) == 1
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                name,
                str(dtype),
                constraints=dg.TableColumnConstraints(
                    nullable=name not in key, unique=unique and name in key
                ),
            )
            for name, dtype in columns.items()
        ]
    )
