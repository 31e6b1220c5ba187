"""What of the model store nobody needs any more: older versions, and leftovers of unfinished work.

Kept are the current version of each asset, some before it, and every version that one of those was
made from. Nothing is removed but by `remove`.
"""

import json
import shutil
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from resources.storage.manifest import Manifest
from resources.storage.model_store import CURRENT, ModelStore


@dataclass(frozen=True)
class Leftover:
    """A folder that is not needed."""

    path: Path
    bytes: int
    why: str


def kept_versions(store: ModelStore, before: int) -> list[Manifest]:
    """Manifests that stay: current ones, the `before` latest others, and what these came from."""
    versions = [manifest for folder in _assets(store) for manifest in _manifests(folder)]
    chosen: dict[tuple[str, str], Manifest] = {}
    for folder in _assets(store):
        own = sorted(_manifests(folder), key=lambda each: each.created_at, reverse=True)
        current = _current(folder)
        others = [each for each in own if each.fingerprint != current]
        for each in [each for each in own if each.fingerprint == current] + others[:before]:
            chosen[each.asset, each.fingerprint] = each
    while True:
        wanted = {item for each in chosen.values() for item in each.inputs.items()}
        more = [
            each
            for each in versions
            if (each.asset, each.data_version) in wanted
            and (each.asset, each.fingerprint) not in chosen
        ]
        if not more:
            return list(chosen.values())
        chosen |= {(each.asset, each.fingerprint): each for each in more}


def leftovers(
    store: ModelStore, kept: Sequence[Manifest], completions: Collection[Path]
) -> list[Leftover]:
    """Everything else, by path. `completions`: folders of kept completions that are still good.

    Work that was interrupted is left alone while its asset has no version newer than it.
    """
    stays = {(each.asset, each.fingerprint) for each in kept}
    found: list[tuple[Path, str]] = []
    for folder in _assets(store):
        manifests = _manifests(folder)
        found += [
            (folder / each.fingerprint, f"made {each.created_at:%Y-%m-%d %H:%M}, not current")
            for each in manifests
            if (each.asset, each.fingerprint) not in stays
        ]
        newest = max((each.created_at.timestamp() for each in manifests), default=0.0)
        found += [
            (path, "work that was given up for newer work")
            for path in folder.glob(".*.work")
            if path.stat().st_mtime < newest
        ]
    found += [
        (path, "completions of weights that are not kept")
        for path in Path(store.root).glob("*/.*.kept")
        if path not in completions
    ]
    return [Leftover(path, _size(path), why) for path, why in sorted(found)]


def remove(found: Sequence[Leftover]) -> None:
    """Delete the folders."""
    for leftover in found:
        shutil.rmtree(leftover.path)


def _assets(store: ModelStore) -> list[Path]:
    root = Path(store.root)
    return sorted(path for path in root.iterdir() if path.is_dir()) if root.exists() else []


def _manifests(folder: Path) -> list[Manifest]:
    """Of every version that can be read; what cannot is never called a leftover."""
    found = []
    for path in folder.glob("[!.]*/manifest.json"):
        try:
            found.append(Manifest.model_validate_json(path.read_text(encoding="utf-8")))
        except ValidationError:
            continue
    return found


def _current(folder: Path) -> str | None:
    pointer = folder / CURRENT
    if not pointer.exists():
        return None
    found: str = json.loads(pointer.read_text(encoding="utf-8"))["fingerprint"]
    return found


def _size(path: Path) -> int:
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
