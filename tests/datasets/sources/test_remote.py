"""Files that a real server on loopback has, or cuts off, or has not."""

import gc
import gzip
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from curec_assets.datasets.sources.files import FilesSource
from curec_assets.datasets.sources.remote import Copy
from curec_assets.settings import DataSettings, load_profile
from resources.errors import ConfigError, CurecError, DataError, EngineError
from resources.models.downloads import Downloads
from tests.support.file_server import Served, file_server
from tests.support.ingest import cause, ingest, stored
from tests.support.reading import all_rows
from tests.support.source_contract import SourceContract

EVENTS = "user_id,item_id,rating,timestamp\n" + "".join(
    f"u{n % 7},x{n % 5},{1 + n % 5},{1_700_000_000 + n}\n" for n in range(60)
)
ITEMS = "item_id,title,genres\n" + "".join(f'x{n},Thing {n},"drama,war"\n' for n in range(5))


@pytest.fixture(scope="module")
def running() -> Iterator[Served]:
    with file_server() as found:
        yield found


@pytest.fixture
def served(running: Served) -> Served:
    running.files.clear()
    running.files |= {
        "a%20b/events.csv.gz": gzip.compress(EVENTS.encode()),
        "events.csv": EVENTS.encode(),
        "items.csv": ITEMS.encode(),
    }
    running.asked.clear()
    return running


def settings(served: Served, events: str = "events.csv", **data: Any) -> dict[str, Any]:
    paths = {
        "interactions_path": f"{served.url}/{events}",
        "items_path": f"{served.url}/items.csv?signature=secret",
    }
    return {"source": "files", "attribute_columns": ("genres",), **paths, **data}


def source(folder: Path, served: Served, events: str = "events.csv", **data: Any) -> FilesSource:
    found = DataSettings(**settings(served, events, **data))
    return FilesSource(found, Downloads(cache_dir=str(folder / "downloads")))


class TestRemote(SourceContract):
    """Each law of the contract."""

    @pytest.fixture
    def opened(self, tmp_path: Path, served: Served) -> FilesSource:
        return source(tmp_path, served)


@pytest.mark.parametrize("events", ["events.csv", "a%20b/events.csv.gz", "elsewhere/events.csv"])
def test_a_file_is_asked_for_once_and_its_copy_does_not_stay(
    tmp_path: Path, served: Served, events: str
) -> None:
    found = source(tmp_path, served, events)
    local = tmp_path / "events.csv"
    local.write_text(EVENTS, encoding="utf-8")
    here = FilesSource(DataSettings(source="files", interactions_path=str(local)))
    assert all_rows(found).equals(all_rows(here))
    assert list(found.files()) == [events.rpartition("/")[2]]
    assert found.items().height == 5 and found.whole and found.interactions_fingerprint()
    assert len([each for each in served.asked if "items" not in each]) == 1 + ("else" in events)
    [*copies] = (tmp_path / "downloads").iterdir()
    assert len(copies) == 2 and all(copy.stat().st_mode & 0o077 == 0 for copy in copies)
    del found
    assert not list((tmp_path / "downloads").iterdir())


@pytest.mark.parametrize(
    ("events", "kind", "parts"),
    [
        ("404/events.csv", DataError, ["answered 404", "Correct data.interactions_path"]),
        ("503/events.csv", EngineError, ["answered 503", "try again"]),
        ("cut/events.csv", EngineError, ["cannot be read now", "copy the file here"]),
        ("reviews", DataError, ["'reviews'", ".csv", "name one file"]),
        ("folder/", ConfigError, ["http cannot list (s3 and hf can)", "name one file"]),
        ("part-*.csv", ConfigError, ["http cannot list (s3 and hf can)", "set their folder"]),
    ],
)
def test_what_a_server_has_not_or_cuts_off_is_refused_by_name(
    tmp_path: Path, served: Served, events: str, kind: type[CurecError], parts: list[str]
) -> None:
    with pytest.raises(kind) as error:
        all_rows(source(tmp_path, served, events))
    for part in (*parts, f"data.interactions_path: {served.url}/{events}"):
        assert part in str(error.value)


def test_what_is_wrong_in_a_copy_is_named_by_where_it_comes_from(
    tmp_path: Path, served: Served
) -> None:
    served.files["events.csv"] = b"user_id,item_id,rating,timestamp\nu,x,1,5,6\n"
    with pytest.raises(DataError) as error:
        all_rows(source(tmp_path, served))
    assert f"{served.url}/events.csv cannot be read as CSV" in str(error.value)
    assert str(tmp_path) not in str(error.value)
    served.files["items.csv"] = b"item_id,title,genres\nx1,A,\nx1,B,\n"
    with pytest.raises(DataError, match=r"items\.csv, data row 2 \(line 3\)") as error:
        source(tmp_path, served).items()
    assert "secret" not in str(error.value)


def test_a_file_that_is_too_large_or_too_slow_is_left(tmp_path: Path, served: Served) -> None:
    with pytest.raises(DataError, match=r"larger than data\.most_download_gb = 1e-07"):
        all_rows(source(tmp_path, served, most_download_gb=1e-7))
    with pytest.raises(EngineError, match="not here whole after 0 s"):
        url = f"{served.url}/slow/events.csv"
        Copy(url, "data.interactions_path", tmp_path, most_bytes=1e9, longest=0.1)
    gc.collect()
    assert not [*tmp_path.glob(".reading-*"), *(tmp_path / "downloads").iterdir()]


def test_without_a_connection_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with file_server() as gone:
        pass
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", gone.url)
    for url in (
        f"{gone.url}/events.csv",
        f"s3://bucket/events.csv?scheme=http&region=x&endpoint_override=127.0.0.1:{gone.port}",
        "hf://datasets/owner/name/events.csv",
        "hf://datasets/owner/name/*.csv",
    ):
        with pytest.raises(EngineError, match="Check the address and the connection") as error:
            Copy(url, "data.interactions_path", tmp_path, most_bytes=1e9, many=True)
        assert f"data.interactions_path: {url.partition('?')[0]} cannot" in str(error.value)


def test_a_bucket_is_read(tmp_path: Path, served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    served.files["bucket/a/events.csv"] = EVENTS.encode()
    options = f"scheme=http&region=x&endpoint_override=127.0.0.1:{served.port}"
    found = source(tmp_path, served, interactions_path=f"s3://bucket/a/events.csv?{options}")
    assert all_rows(found).height == 60
    with pytest.raises(DataError, match="no such object"):
        all_rows(source(tmp_path, served, interactions_path=f"s3://bucket/no.csv?{options}"))
    with pytest.raises(ConfigError, match=r"'secret_key'.*keys come from the environment"):
        all_rows(source(tmp_path, served, interactions_path="s3://bucket/no.csv?secret_key=x"))


@pytest.mark.parametrize("which", ["a/", "a/part-*.csv*"])
def test_a_folder_of_a_bucket_and_a_pattern_are_read_as_an_inbox(
    tmp_path: Path, served: Served, monkeypatch: pytest.MonkeyPatch, which: str
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    header, *lines = EVENTS.splitlines(keepends=True)
    first, second = (header + "".join(lines[rows]) for rows in (slice(40), slice(40, None)))
    served.files |= {
        "bucket/a/part-1.csv": first.encode(),
        "bucket/a/part-2 b.csv.gz": gzip.compress(second.encode()),
        "bucket/a/README.md": b"not read",
        "bucket/a/.hidden.csv": b"not read",
        "bucket/a/below/part-3.csv": b"not read",
    }
    options = f"scheme=http&region=x&endpoint_override=127.0.0.1:{served.port}"
    found = source(tmp_path, served, interactions_path=f"s3://bucket/{which}?{options}")
    assert list(found.files()) == ["part-1.csv", "part-2 b.csv.gz"]
    assert not found.whole and all_rows(found).height == 60
    served.files["bucket/a/part-2 b.csv.gz"] = gzip.compress(header.encode() + b"u,x,nine,5\n")
    bad = source(tmp_path, served, interactions_path=f"s3://bucket/{which}?{options}")
    with pytest.raises(DataError, match=r"s3://bucket/a/part-2%20b\.csv\.gz"):
        bad.interactions("part-2 b.csv.gz")
    for missing in ("nothing/", "a/*.parquet"):
        with pytest.raises(DataError, match="is not to be had"):
            source(tmp_path, served, interactions_path=f"s3://bucket/{missing}?{options}").files()
    del found, bad
    gc.collect()
    assert not list((tmp_path / "downloads").iterdir())


def test_another_scheme_or_a_password_is_refused(tmp_path: Path, served: Served) -> None:
    with pytest.raises(ConfigError, match="begins with 'ftp', expected one of http, https, s3, hf"):
        all_rows(source(tmp_path, served, interactions_path="ftp://host/events.csv"))
    with pytest.raises(ConfigError, match="found a password in the URL") as error:
        load_profile("smoke", {"data": {"items_path": "https://ann:hunter2@host/items.csv"}})
    assert "hunter2" not in str(error.value)


def test_what_a_killed_process_left_goes_with_the_next_copy(tmp_path: Path, served: Served) -> None:
    code = (
        "import os, pathlib, signal, sys\n"
        "from curec_assets.datasets.sources.remote import Copy\n"
        "copy = Copy(sys.argv[1], 'x', pathlib.Path(sys.argv[2]), most_bytes=1e9)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    folder = tmp_path / "downloads"
    killed = [sys.executable, "-c", code, f"{served.url}/events.csv", str(folder)]
    assert subprocess.run(killed, check=False, env={**os.environ}).returncode == -9
    [left] = folder.iterdir()
    found = source(tmp_path, served)
    assert all_rows(found).height == 60
    assert not left.exists()


@pytest.mark.fault("a download is cut off, or its server goes away")
def test_a_download_that_is_cut_off_leaves_what_was_stored(tmp_path: Path, served: Served) -> None:
    assert ingest(tmp_path, **settings(served)).success
    before = stored(tmp_path)
    lost = ingest(tmp_path, **settings(served, "cut/events.csv"))
    assert not lost.success and "data.interactions_path" in cause(lost)
    assert stored(tmp_path).equals(before)
    served.files["events.csv"] += b"u9,x1,5,1700009999\n"
    assert ingest(tmp_path, **settings(served)).success
    assert stored(tmp_path).height == 61


def test_a_url_in_a_profile_stays_as_it_is(tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text(
        'extends = "smoke"\n[data]\nsource = "files"\n'
        'interactions_path = "hf://datasets/owner/name/events.csv"\nitems_path = "items.csv"\n',
        encoding="utf-8",
    )
    data = load_profile(str(own)).data
    assert data.interactions_path == "hf://datasets/owner/name/events.csv"
    assert data.items_path == str(tmp_path / "items.csv")
