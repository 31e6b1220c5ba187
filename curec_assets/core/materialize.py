"""The one way in which an asset does its work and records it.

`table` for DuckDB tables, `artifact` for model directories. Both look for a stored result with the
same fingerprint first (`cached: true`), do the work otherwise, and return the materialisation with
its content-hash data version, manifest and metadata.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl

from curec_assets.core.provenance import content_hash, digest, fingerprint
from resources.storage.manifest import Manifest
from resources.storage.model_store import Artifact, ModelStore, hash_files
from resources.storage.warehouse import Warehouse

Metadata = Mapping[str, Any]


def table(
    context: dg.AssetExecutionContext,
    warehouse: Warehouse,
    *,
    key: Sequence[str],
    config: Mapping[str, Any],
    inputs: Mapping[str, str],
    build: Callable[[], pl.DataFrame],
    describe: Callable[[pl.DataFrame], Metadata] = lambda _: {},
) -> dg.MaterializeResult[None]:
    """Materialise the table named like the asset.

    `key`: columns that identify a row. `config` and `inputs`: what the rows depend on. `build`
    makes the rows; it is not called when the stored table has the same fingerprint. `describe`
    makes metadata from the rows, stored or new.
    """
    name, code_version = _identity(context)
    identity = fingerprint(asset=name, code_version=code_version, config=config, inputs=inputs)
    manifest = warehouse.manifest(name)
    cached = manifest is not None and manifest.fingerprint == identity
    if manifest is not None and cached:
        rows = warehouse.read(name)
    else:
        started = time.monotonic()
        rows = build()
        manifest = Manifest(
            asset=name,
            fingerprint=identity,
            data_version=content_hash(rows, key=key),
            code_version=code_version,
            config=dict(config),
            inputs=dict(inputs),
            row_count=rows.height,
            seconds=round(time.monotonic() - started, 3),
            created_at=datetime.now(UTC),
        )
        warehouse.write(name, rows, manifest)
    return _result(
        manifest,
        cached,
        {
            "dagster/row_count": rows.height,
            "dagster/column_schema": _column_schema(rows, key),
            "dagster/uri": f"{warehouse.path}#{name}",
            **describe(rows),
        },
    )


def artifact(
    context: dg.AssetExecutionContext,
    store: ModelStore,
    *,
    config: Mapping[str, Any],
    inputs: Mapping[str, str],
    build: Callable[[Path, Path], Mapping[str, Any]],
    describe: Callable[[Artifact], Metadata] = lambda _: {},
) -> dg.MaterializeResult[None]:
    """Materialise the directory of files named like the asset.

    `build(folder, workspace)` writes the files into `folder` and returns the metrics for the
    manifest; `workspace` keeps its checkpoints if it is interrupted. It is not called when a
    directory with the same fingerprint exists.
    """
    name, code_version = _identity(context)
    identity = fingerprint(asset=name, code_version=code_version, config=config, inputs=inputs)
    found = store.find(name, identity)
    cached = found is not None
    if found is not None:
        store.set_current(name, identity)
    else:
        started = time.monotonic()
        with store.writing(name) as folder:
            metrics = build(folder, store.workspace(name, identity))
            files = hash_files(folder)
            manifest = Manifest(
                asset=name,
                fingerprint=identity,
                data_version=digest(files),
                code_version=code_version,
                config=dict(config),
                inputs=dict(inputs),
                metrics=dict(metrics),
                files=files,
                seconds=round(time.monotonic() - started, 3),
                created_at=datetime.now(UTC),
            )
            found = store.commit(folder, manifest)
    return _result(found.manifest, cached, {"dagster/uri": found.path.as_uri(), **describe(found)})


def _identity(context: dg.AssetExecutionContext) -> tuple[str, str]:
    key = context.asset_key
    code_version = context.assets_def.code_versions_by_key[key]
    if code_version is None:
        raise dg.DagsterInvariantViolationError(f"asset {key.to_user_string()} has no code_version")
    return key.path[-1], code_version


def _result(manifest: Manifest, cached: bool, metadata: Metadata) -> dg.MaterializeResult[None]:
    return dg.MaterializeResult(
        data_version=dg.DataVersion(manifest.data_version),
        metadata={
            "cached": cached,
            "fingerprint": manifest.fingerprint,
            "manifest": dg.MetadataValue.json(manifest.model_dump(mode="json", exclude={"files"})),
            **metadata,
        },
    )


def _column_schema(rows: pl.DataFrame, key: Sequence[str]) -> dg.TableSchema:
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
            for name, dtype in rows.schema.items()
        ]
    )
