"""What of the model store nobody needs any more: older versions, and leftovers of unfinished work.

Kept are the current version of each asset, some before it, pinned ones, and every version that one
of those was made from. Nothing is removed but by `remove`.
"""

import shutil
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from resources.storage.manifest import Manifest
from resources.storage.model_store import ModelStore


@dataclass(frozen=True)
class Leftover:
    """A folder that is not needed."""

    path: Path
    bytes: int
    why: str


def kept_versions(store: ModelStore, before: int) -> list[Manifest]:
    """Manifests that stay: current and pinned ones, the `before` latest others, their inputs."""
    versions = [each for folder in _assets(store) for each in store.versions(folder.name)]
    chosen: dict[tuple[str, str], Manifest] = {}
    for folder in _assets(store):
        asset = folder.name
        current = store.current_fingerprint(asset)
        own = list(reversed(store.versions(asset)))
        others = [each for each in own if each.fingerprint != current]
        stays = {current, *(each.fingerprint for each in others[:before])}
        for each in own:
            if each.fingerprint in stays or store.is_pinned(asset, each.fingerprint):
                chosen[asset, each.fingerprint] = each
    while True:
        wanted = {item for each in chosen.values() for item in each.inputs.items()}
        more = [
            each
            for each in versions
            if (each.asset, each.fingerprint) not in chosen
            and not wanted.isdisjoint(
                {
                    (each.asset, each.data_version),
                    (each.asset, f"{each.fingerprint} {each.data_version}"),  # lineage is recorded
                }
            )
        ]
        if not more:
            return list(chosen.values())
        chosen |= {(each.asset, each.fingerprint): each for each in more}


def leftovers(
    store: ModelStore, kept: Sequence[Manifest], still_good: Collection[Path]
) -> list[Leftover]:
    """Everything else, by path. `still_good`: folders of completions and fits that are kept.

    Work that was interrupted is left alone while its asset has no version newer than it.
    """
    stays = {(each.asset, each.fingerprint) for each in kept}
    found: list[tuple[Path, str]] = []
    for folder in _assets(store):
        manifests = store.versions(folder.name)
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
        (path, "made by weights or code that are not kept")
        for path in Path(store.root).glob("*/.*.kept")
        if path not in still_good
    ]
    return [Leftover(path, _size(path), why) for path, why in sorted(found)]


def remove(found: Sequence[Leftover]) -> None:
    """Delete the folders; of a link the link alone, for what it leads to is not the store's."""
    for leftover in found:
        if leftover.path.is_symlink():
            leftover.path.unlink()
        else:
            shutil.rmtree(leftover.path)


def _assets(store: ModelStore) -> list[Path]:
    root = Path(store.root)
    return sorted(path for path in root.iterdir() if path.is_dir()) if root.exists() else []


def _size(path: Path) -> int:
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
