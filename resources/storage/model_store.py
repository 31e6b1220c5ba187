"""`ModelStore`: trained models and other directories of files, each with its manifest.

Layout: `<root>/<asset>/<fingerprint>/{files..., manifest.json}` and `<root>/<asset>/current.json`,
which names the fingerprint that the last materialisation settled on. A directory is written under a
temporary name, synced, and renamed into place; `manifest.json` is its last file. A directory
without a manifest is therefore never taken for a model.
"""

import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
from pydantic import Field

from resources.errors import ArtifactError
from resources.storage.manifest import Manifest

_MANIFEST = "manifest.json"
_CURRENT = "current.json"
WRITING = ".writing-"
"""How the name of what is being written begins; the number of the process follows."""
_DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True)
class Artifact:
    """A stored directory whose files have been verified against its manifest."""

    path: Path
    manifest: Manifest


class ModelStore(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Directories of model files, addressed by asset and fingerprint."""

    root: str = Field(description="Folder of the store; created on first write.")

    def find(self, asset: str, fingerprint: str) -> Artifact | None:
        """The artifact made with this fingerprint, verified, or None.

        Raises `ArtifactError` when its manifest or one of its files is damaged.
        """
        path = Path(self.root) / asset / fingerprint
        if not path.exists():
            return None
        return _verified(path)

    def current(self, asset: str) -> Artifact:
        """The artifact that the last materialisation of `asset` settled on.

        Raises `ArtifactError` when there is none or it is damaged.
        """
        fingerprint = self.current_fingerprint(asset)
        if fingerprint is None:
            raise ArtifactError(
                f"model store {self.root} has no {asset!r}; materialise the asset {asset!r} first"
            )
        found = self.find(asset, fingerprint)
        if found is None:
            raise ArtifactError(
                f"{Path(self.root) / asset / _CURRENT} names fingerprint {fingerprint}, which is "
                f"not in the store; materialise the asset {asset!r} again"
            )
        return found

    def current_fingerprint(self, asset: str) -> str | None:
        """Of the current artifact, whose files are not looked at; None when there is none.

        Raises `ArtifactError` when the pointer is damaged.
        """
        pointer = Path(self.root) / asset / _CURRENT
        try:
            return str(json.loads(pointer.read_text(encoding="utf-8"))["fingerprint"])
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError) as error:
            raise ArtifactError(
                f"{pointer} is damaged ({error!r}); materialise the asset {asset!r} again"
            ) from error

    def versions(self, asset: str) -> list[Manifest]:
        """Manifests of every version that can be read, oldest first; files are not looked at."""
        found = []
        for path in (Path(self.root) / asset).glob(f"[!.]*/{_MANIFEST}"):
            with suppress(ValueError):
                found.append(Manifest.from_text(path.read_text(encoding="utf-8")))
        return sorted(found, key=lambda each: (each.created_at, each.fingerprint))

    def pin(self, asset: str, fingerprint: str) -> None:
        """Keep this version, and what it was made from, whatever is removed."""
        self._pin(asset, fingerprint).touch()

    def unpin(self, asset: str, fingerprint: str) -> None:
        """Keep it no longer than others."""
        self._pin(asset, fingerprint).unlink(missing_ok=True)

    def is_pinned(self, asset: str, fingerprint: str) -> bool:
        """Whether it is kept by `pin`."""
        return self._pin(asset, fingerprint).exists()

    def _pin(self, asset: str, fingerprint: str) -> Path:
        return Path(self.root) / asset / f".{fingerprint}.pinned"

    def set_current(self, asset: str, fingerprint: str) -> None:
        """Point `current(asset)` at this fingerprint, atomically."""
        folder = Path(self.root) / asset
        folder.mkdir(parents=True, exist_ok=True)
        temporary = folder / f".{_CURRENT}.{os.getpid()}"
        temporary.write_text(json.dumps({"fingerprint": fingerprint}), encoding="utf-8")
        sync(temporary)
        temporary.rename(folder / _CURRENT)

    def workspace(self, asset: str, fingerprint: str) -> Path:
        """A folder for checkpoints of unfinished work on this fingerprint; survives a kill."""
        path = Path(self.root) / asset / f".{fingerprint}.work"
        path.mkdir(parents=True, exist_ok=True)
        return path

    def kept(self, asset: str, name: str) -> Path:
        """Where is kept what stays good whatever is made from it; nothing made removes it."""
        return Path(self.root) / asset / f".{name}.kept"

    @contextmanager
    def unfinished(self, asset: str, fingerprint: str) -> Iterator[Path]:
        """The `workspace` of an asset that is kept elsewhere; removed when the block succeeds."""
        path = self.workspace(asset, fingerprint)
        yield path
        shutil.rmtree(path, ignore_errors=True)

    @contextmanager
    def writing(self, asset: str) -> Iterator[Path]:
        """An empty temporary folder beside the final one, removed if the block does not commit.

        Raises `ArtifactError` when the disk is full; other errors pass as they are.
        """
        folder = Path(self.root) / asset
        folder.mkdir(parents=True, exist_ok=True)
        sweep(folder)
        temporary = Path(tempfile.mkdtemp(prefix=f"{WRITING}{os.getpid()}-", dir=folder))
        try:
            yield temporary
        except Exception as error:
            if not _disk_full(error):
                raise
            raise ArtifactError(
                f"{asset!r} could not be saved under {folder}: {error}. Free disk space and "
                "materialise it again; what was stored before is untouched"
            ) from error
        finally:
            shutil.rmtree(temporary, ignore_errors=True)

    def commit(self, temporary: Path, manifest: Manifest) -> Artifact:
        """Write the manifest into `temporary`, rename it into place, and make it current.

        If another process has stored the same fingerprint meanwhile, that one stays.
        """
        (temporary / _MANIFEST).write_text(manifest.to_text(), encoding="utf-8")
        for file in sorted(p for p in temporary.rglob("*") if p.is_file()):
            sync(file)
        final = Path(self.root) / manifest.asset / manifest.fingerprint
        if final.exists():
            stored = _verified(final)
        else:
            temporary.rename(final)
            stored = Artifact(final, manifest)
        sync(final.parent)
        self.set_current(manifest.asset, manifest.fingerprint)
        shutil.rmtree(final.parent / f".{manifest.fingerprint}.work", ignore_errors=True)
        return stored


def sweep(folder: Path) -> None:
    """Remove what processes that were killed had begun to write here."""
    import psutil

    for begun in folder.glob(f"{WRITING}*"):
        process = begun.name.removeprefix(WRITING).partition("-")[0]
        if not process.isdigit() or not psutil.pid_exists(int(process)):
            shutil.rmtree(begun, ignore_errors=True)


def hash_files(folder: Path) -> dict[str, str]:
    """Relative path → SHA-256 of every file below `folder`, but for manifests: they say when."""
    return {
        str(file.relative_to(folder)): _sha256(file)
        for file in sorted(folder.rglob("*"))
        if file.is_file() and file.name != _MANIFEST
    }


def rewrite_manifest(folder: Path, manifest: Manifest) -> None:
    """Put a manifest in the place of a stored version's, atomically."""
    temporary = folder / f".{_MANIFEST}.{os.getpid()}"
    temporary.write_text(manifest.to_text(), encoding="utf-8")
    sync(temporary)
    temporary.replace(folder / _MANIFEST)


def _verified(path: Path) -> Artifact:
    fix = f"move {path} away and materialise again"
    manifest = _manifest_of(path / _MANIFEST, fix)
    for kept in path.rglob(f"*/{_MANIFEST}"):  # of tables that are kept in it
        _manifest_of(kept, fix)
    for name, expected in manifest.files.items():
        file = path / name
        found = _sha256(file) if file.exists() else "no file"
        if found != expected:
            raise ArtifactError(
                f"{file}: found {found[:16]}, but the manifest of {manifest.asset!r} "
                f"says {expected[:16]}; {fix}"
            )
    return Artifact(path, manifest)


def _manifest_of(file: Path, fix: str) -> Manifest:
    try:
        return Manifest.from_text(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError) as error:
        raise ArtifactError(f"{file} is missing or damaged ({error}); {fix}") from error


def _disk_full(error: Exception) -> bool:
    # safetensors and torch wrap the operating system's error in classes of their own.
    return (isinstance(error, OSError) and error.errno in _DISK_FULL) or (
        "No space left on device" in str(error)
    )


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def sync(path: Path) -> None:
    """Wait until the file or folder is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
