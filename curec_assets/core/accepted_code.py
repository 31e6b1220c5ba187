"""Changes of code that somebody has declared, by hand, not to alter a result.

Kept as `accepted_code.json` in the model store's folder: asset → code version → the older code
version that it stands for, when that was said, and which files had changed.
"""

import json
import os
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, RootModel, ValidationError

from curec_assets.core.recipe import Recipe, differing
from resources.errors import ArtifactError
from resources.storage.model_store import ModelStore
from resources.storage.warehouse import Warehouse

_FILE = "accepted_code.json"


class Acceptance(BaseModel):
    """One declaration."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    same_as: str
    """The code version whose results stay good."""
    files: tuple[str, ...]
    """What had changed."""
    accepted_at: datetime


class _Acceptances(RootModel[dict[str, dict[str, Acceptance]]]):
    """Asset → code version → acceptance."""


def acceptance(root: Path, asset: str, code_version: str) -> Acceptance | None:
    """What was declared of this code version of `asset`; None when nothing was."""
    return _read(root).get(asset, {}).get(code_version)


def accept_code(recipe: Recipe, warehouse: Warehouse, store: ModelStore) -> str:
    """Declare that the present code of an asset gives what is stored of it; says what was done.

    Raises `ArtifactError` when nothing is stored.
    """
    if recipe.writes == "table":
        stored = warehouse.existing_manifest(recipe.name)
    else:
        stored = store.current(recipe.name).manifest
    if stored.code_version == recipe.code_version:
        return f"{recipe.name}: its code has not changed since it was made; nothing to accept"
    files = tuple(differing(stored.code, recipe.code))
    accept(
        Path(store.root),
        recipe.name,
        recipe.code_version,
        same_as=stored.code_version,
        files=files,
    )
    return (
        f"{recipe.name}: accepted that changed code does not alter it: "
        f"{', '.join(files) or 'files not known'}. The stored one "
        f"({stored.fingerprint}, {stored.created_at:%Y-%m-%d}) stays; each materialisation says so"
    )


def accept(
    root: Path, asset: str, code_version: str, *, same_as: str, files: tuple[str, ...]
) -> None:
    """Declare that `code_version` of `asset` gives what the version `same_as` gave."""
    known = _read(root)
    said = Acceptance(same_as=same_as, files=files, accepted_at=datetime.now(UTC))
    known.setdefault(asset, {})[code_version] = said
    root.mkdir(parents=True, exist_ok=True)
    temporary = root / f".{_FILE}.{os.getpid()}"
    temporary.write_text(_Acceptances(known).model_dump_json(indent=1), encoding="utf-8")
    temporary.replace(root / _FILE)


def _read(root: Path) -> dict[str, dict[str, Acceptance]]:
    file = root / _FILE
    if not file.exists():
        return {}
    try:
        return _Acceptances.model_validate_json(file.read_text(encoding="utf-8")).root
    except (ValidationError, ValueError, json.JSONDecodeError) as error:
        raise ArtifactError(
            f"{file} is damaged ({error}); repair it, or delete it: assets whose code changed are "
            "then made again"
        ) from error
