"""Files that are elsewhere: `http(s)://`, `s3://` and `hf://` URLs.

Folders, and patterns of names, of those that can be listed (s3, hf). A file is copied whole, read
as a local one, and removed with the `Copy` or when the process ends: a copy that stayed would know
users whom `curec forget` takes out of the home. What a process that was killed left behind goes
with the next copy.
"""

import os
import shutil
import tempfile
import time
import weakref
from collections.abc import Callable, Generator, Mapping
from contextlib import closing
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

import psutil

from curec_assets.datasets.sources.formats import ENDINGS, form_of
from curec_assets.datasets.sources.inbox import is_pattern, is_wanted
from resources.errors import ConfigError, DataError, EngineError
from resources.urls import shown

_BEGINS = ".reading-"
_BLOCK = 1 << 20  # bytes
_SILENCE, _CONNECT = 60.0, 10.0  # seconds
LONGEST = 3_600.0
"""Seconds that a whole file may take."""
_S3_OPTIONS = {"anonymous", "endpoint_override", "region", "scheme"}
_PASSING = (408, 425, 429)
"""HTTP answers below 500 that another attempt may change."""


def is_remote(path: str) -> bool:
    """Whether it is a URL."""
    return "://" in path


class Copy:
    """A file from elsewhere, here while this object is.

    Raises `DataError` for what is not to be had, or is larger than `most_bytes`; `EngineError` for
    what may be had later.
    """

    def __init__(
        self,
        url: str,
        setting: str,
        folder: Path | None,
        *,
        most_bytes: float,
        longest: float = LONGEST,
        many: bool = False,
    ) -> None:
        """`setting`: which one holds the URL. `folder`: where; None: for temporary files.

        `most_bytes`, `longest`: of all files together. `many`: a folder (the URL ends in `/`) or a
        pattern of names may be meant; its files are copied, and what is below it is not.
        """
        reader = _READERS.get(urlsplit(url).scheme)
        if reader is None:
            raise ConfigError(
                f"{setting}: found a URL that begins with {urlsplit(url).scheme!r}, expected one "
                f"of {', '.join(_READERS)}; copy the file here and set its path"
            )
        several = many and _is_several(url)
        found = _listed(url, setting) if several else [_one(url, setting, many)]
        self.urls = {_name(each): each for each in found}
        """Name of each file here → where it comes from."""
        place = _new_folder(folder)
        self.path = place if several else place / _name(url)
        weakref.finalize(self, shutil.rmtree, place, ignore_errors=True)
        size = 0
        ends = time.monotonic() + longest
        for name, each in self.urls.items():
            with (place / name).open("wb") as copy, closing(reader(each, setting)) as blocks:
                for block in blocks:
                    size += len(block)
                    if size > most_bytes:
                        raise _too_large(url, setting, most_bytes)
                    if time.monotonic() > ends:
                        raise _away(url, setting, f"it was not here whole after {longest:.0f} s")
                    copy.write(block)


def _name(url: str) -> str:
    return PurePosixPath(unquote(urlsplit(url).path)).name


def _one(url: str, setting: str, many: bool) -> str:
    if form_of(Path(_name(url))) is not None:
        return url
    raise DataError(
        f"{setting}: {shown(url)} ends in {_name(url)!r}, expected a name with one of the endings "
        f"{', '.join(ENDINGS)}; name one file"
        + (", or a folder of s3 or hf with / at the end" if many else ", not a folder or a page")
    )


def _is_several(url: str) -> bool:
    """A folder, or a pattern: `?` begins the parameters of a URL, and is none here."""
    path = unquote(urlsplit(url).path)
    return path.endswith("/") or is_pattern(PurePosixPath(path).name)


def _listed(url: str, setting: str) -> list[str]:
    """URLs of the files that a folder or a pattern stands for, by name."""
    parts = urlsplit(url)
    lister = _LISTERS.get(parts.scheme)
    if lister is None:
        raise ConfigError(
            f"{setting}: {shown(url)} is a folder or a pattern, which {parts.scheme} cannot list "
            f"({' and '.join(_LISTERS)} can); name one file, or copy the files here and set their "
            "folder"
        )
    pattern = "" if parts.path.endswith("/") else _name(url)
    above = parts.path.rpartition("/")[0]
    names = sorted(name for name in lister(url, setting) if is_wanted(name, pattern))
    if not names:
        raise _missing(url, setting, "no file there can be read and has such a name")
    return [parts._replace(path=f"{above}/{quote(name)}").geturl() for name in names]


def _new_folder(parent: Path | None) -> Path:
    """That only this process reads; those of processes that are gone are removed."""
    where = parent or Path(tempfile.gettempdir())
    where.mkdir(parents=True, exist_ok=True)
    for left in where.glob(f"{_BEGINS}*-*"):
        owner = left.name.removeprefix(_BEGINS).partition("-")[0]
        if owner.isdigit() and not psutil.pid_exists(int(owner)):
            shutil.rmtree(left, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=f"{_BEGINS}{os.getpid()}-", dir=where))


def _http(url: str, setting: str) -> Generator[bytes, None, None]:
    import httpx2

    try:
        with httpx2.stream(
            "GET",
            url,
            headers={"Accept-Encoding": "identity"},
            follow_redirects=True,
            timeout=httpx2.Timeout(_SILENCE, connect=_CONNECT),
        ) as answer:
            status = f"{answer.status_code} {answer.reason_phrase}"
            if answer.status_code >= 500 or answer.status_code in _PASSING:
                raise _away(url, setting, f"the server answered {status}")
            if answer.status_code != 200:
                raise _missing(url, setting, f"the server answered {status}")
            # Some servers call a file in gzip's form an encoding: it is read as what it is.
            packed = urlsplit(url).path.endswith(".gz")
            yield from answer.iter_raw() if packed else answer.iter_bytes()
    except httpx2.InvalidURL as error:
        raise _missing(url, setting, str(error)) from error
    except httpx2.HTTPError as error:
        raise _away(url, setting, str(error) or type(error).__name__) from error


def _s3_system(url: str, setting: str) -> Any:
    from pyarrow import fs

    parts = urlsplit(url)
    options: dict[str, Any] = dict(parse_qsl(parts.query))
    if unknown := options.keys() - _S3_OPTIONS:
        raise ConfigError(
            f"{setting}: {shown(url)} has the parameter {min(unknown)!r}, expected of "
            f"{', '.join(sorted(_S3_OPTIONS))}; keys come from the environment or ~/.aws"
        )
    if "anonymous" in options:
        options["anonymous"] = options["anonymous"].lower() == "true"
    return fs.S3FileSystem(request_timeout=_SILENCE, connect_timeout=_CONNECT, **options)


def _s3(url: str, setting: str) -> Generator[bytes, None, None]:
    parts = urlsplit(url)
    try:
        system = _s3_system(url, setting)
        path = f"{parts.netloc}{unquote(parts.path)}"
        with system.open_input_stream(path, compression=None) as stream:  # as it is
            while block := stream.read(_BLOCK):
                yield block
    except FileNotFoundError as error:
        raise _missing(url, setting, "no such object") from error
    except OSError as error:
        raise _away(url, setting, str(error)) from error


def _s3_names(url: str, setting: str) -> list[str]:
    from pyarrow import fs

    parts = urlsplit(url)
    folder = f"{parts.netloc}{unquote(parts.path).rpartition('/')[0]}"
    try:
        found = _s3_system(url, setting).get_file_info(fs.FileSelector(folder))
    except FileNotFoundError as error:
        raise _missing(url, setting, "no such folder") from error
    except OSError as error:
        raise _away(url, setting, str(error)) from error
    return [each.base_name for each in found if each.is_file]


def _hugging_face(url: str, setting: str) -> Generator[bytes, None, None]:
    from huggingface_hub import HfFileSystem

    try:
        with HfFileSystem(skip_instance_cache=True).open(url, "rb") as stream:
            while block := stream.read(_BLOCK):
                yield block
    except FileNotFoundError as error:
        raise _missing(url, setting, "no such file, or no right to see it (HF_TOKEN)") from error
    except Exception as error:  # its own, httpx2's and the file system's: no common base
        raise _away(url, setting, f"{type(error).__name__}: {error}") from error


def _hugging_face_names(url: str, setting: str) -> list[str]:
    from huggingface_hub import HfFileSystem

    try:
        system = HfFileSystem(skip_instance_cache=True)
        found: list[Any] = system.ls(url.rpartition("/")[0], detail=True)
    except FileNotFoundError as error:
        raise _missing(url, setting, "no such folder, or no right to see it (HF_TOKEN)") from error
    except Exception as error:  # as above
        raise _away(url, setting, f"{type(error).__name__}: {error}") from error
    return [PurePosixPath(each["name"]).name for each in found if each["type"] == "file"]


_READERS: Mapping[str, Callable[[str, str], Generator[bytes, None, None]]] = {
    "http": _http,
    "https": _http,
    "s3": _s3,
    "hf": _hugging_face,
}
_LISTERS: Mapping[str, Callable[[str, str], list[str]]] = {
    "s3": _s3_names,
    "hf": _hugging_face_names,
}


def _too_large(url: str, setting: str, most_bytes: float) -> DataError:
    return DataError(
        f"{setting}: {shown(url)} is larger than data.most_download_gb = {most_bytes / 1e9:g} "
        "allows; raise it, or copy the file here and set its path"
    )


def _missing(url: str, setting: str, why: str) -> DataError:
    return DataError(
        f"{setting}: {shown(url)} is not to be had: {why}. Correct {setting}, or copy the file "
        "here and set its path; what was stored stays"
    )


def _away(url: str, setting: str, why: str) -> EngineError:
    return EngineError(
        f"{setting}: {shown(url)} cannot be read now: {why}. Check the address and the connection "
        "and try again, or copy the file here and set its path; what was stored stays"
    )
