"""Which data, code and settings made what is stored."""

from collections.abc import Sequence

import polars as pl

from curec_assets.policy.archive import ARCHIVE, MODELS, TABLES, archived_manifest, members
from resources.storage.manifest import Manifest
from resources.storage.model_store import ModelStore

_OF_A_REASON = ("training_snapshot", "evidence_model", "reward_model", "reason_policy")
_NAMES = ("asset", "made at", "rows", "seconds", "data version", "fingerprint", "code", "made from")


def lineage_rows(manifests: Sequence[Manifest]) -> pl.DataFrame:
    """A row for each: asset, when it was made, versions, and what it was made from."""
    rows = [
        (
            each.asset,
            each.created_at,
            each.row_count,
            each.seconds,
            each.data_version,
            each.fingerprint,
            each.code_version,
            ", ".join(" ".join(pair) for pair in each.inputs.items()),
        )
        for each in manifests
    ]
    return pl.DataFrame(rows, schema=_NAMES, orient="row", infer_schema_length=None)


def generation_of(policy: str, store: ModelStore) -> list[Manifest]:
    """How snapshot, evidence model, reward model and policy were made that belong together.

    `policy`: fingerprint of `reason_policy`. What was pruned since is left out.
    """
    for archive in store.versions(ARCHIVE):
        belongs = members(archive)
        if belongs["reason_policy"][0] != policy:
            continue
        found = []
        kept = store.find(ARCHIVE, archive.fingerprint)
        for name in _OF_A_REASON:
            fingerprint, _ = belongs[name]
            if name in TABLES and kept:
                found.append(archived_manifest(kept.path, name))
            elif name in MODELS and (model := store.find(name, fingerprint)):
                found.append(model.manifest)
        return found
    return []
