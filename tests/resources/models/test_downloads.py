"""Downloads: real wheels and a real pip, no network."""

import hashlib
import subprocess
import threading
import zipfile

import pytest

from resources.errors import ConfigError, EngineError
from resources.models.downloads import MINILM, RECBOLE, SMOLLM2, WIKIDATA_FILMS, Downloads, Package

MEMBERS = {
    "tiny_data/one.csv": "a,b\n1,2\n",
    "tiny_data/more/x.txt": "x",
    "tiny_data/more/y.txt": "",
}
INFO = "tiny_data-1.0.dist-info"


def make_wheel(folder, members=MEMBERS):
    """A wheel that pip accepts."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "tiny_data-1.0-py3-none-any.whl"
    meta = {
        f"{INFO}/METADATA": "Metadata-Version: 2.1\nName: tiny-data\nVersion: 1.0\n",
        f"{INFO}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{name},,\n" for name in [*members, *meta, f"{INFO}/RECORD"])
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in {**members, **meta, f"{INFO}/RECORD": record}.items():
            archive.writestr(zipfile.ZipInfo(name), text)
    return path


def pin(wheel):
    sha256 = hashlib.sha256(wheel.read_bytes()).hexdigest()
    return Package("tiny-data", "1.0", sha256, "tiny_data/one.csv", "CC0")


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


@pytest.fixture
def downloads(cache, tmp_path, monkeypatch):
    """An empty cache, and a pip that sees one local folder and no network."""
    (tmp_path / "index").mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    return Downloads(cache_dir=str(cache))


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.fixture
def no_pip(monkeypatch):
    """Any attempt to start pip fails the test."""

    def refuse(*_, **__):
        raise AssertionError("pip was started")

    return lambda: monkeypatch.setattr(subprocess, "run", refuse)


def test_a_member_is_fetched_by_pip_verified_and_kept(downloads, cache, tmp_path, no_pip):
    package = pin(make_wheel(tmp_path / "index"))
    file = downloads.fetch(package, package.member)
    assert file == cache / "tiny_data-1.0" / "tiny_data" / "one.csv"
    assert file.read_text() == MEMBERS["tiny_data/one.csv"]
    assert files(cache) == [f"tiny_data-1.0/tiny_data/one.csv{end}" for end in ("", ".sha256")]
    no_pip()
    assert downloads.fetch(package, package.member) == file


def test_a_folder_is_fetched_whole(downloads, cache, tmp_path):
    folder = downloads.fetch(pin(make_wheel(tmp_path / "index")), "tiny_data/more/")
    assert files(folder) == ["x.txt", "y.txt"]


def test_the_record_is_what_sha256sum_reads(downloads, cache, tmp_path):
    folder = downloads.fetch(pin(make_wheel(tmp_path / "index")), "tiny_data/more/")
    subprocess.run(
        ["sha256sum", "--check", "--strict", str(folder) + ".sha256"],
        cwd=cache / "tiny_data-1.0",
        check=True,
        capture_output=True,
    )


@pytest.mark.fault("a damaged or exchanged download")
@pytest.mark.parametrize("damage", ["changed", "lost", "record lost", "record damaged"])
def test_a_damaged_member_is_fetched_again(downloads, tmp_path, damage):
    package = pin(make_wheel(tmp_path / "index"))
    file = downloads.fetch(package, package.member)
    record = file.with_name(file.name + ".sha256")
    if damage == "changed":
        file.write_text("a,b\n1,3\n")
    elif damage == "lost":
        file.unlink()
    elif damage == "record lost":
        record.unlink()
    else:
        record.write_bytes(b"\xff\xfe")
    assert downloads.fetch(package, package.member).read_text() == MEMBERS["tiny_data/one.csv"]


def test_a_wheel_put_into_the_cache_is_used(downloads, cache, no_pip):
    no_pip()
    package = pin(make_wheel(cache))
    assert downloads.fetch(package, package.member).exists()


def test_no_network_and_an_empty_cache_says_what_was_tried_and_the_fix(downloads, cache, tmp_path):
    package = pin(make_wheel(tmp_path / "elsewhere"))
    with pytest.raises(EngineError) as caught:
        downloads.fetch(package, package.member)
    said = str(caught.value)
    for part in (
        "tiny-data==1.0",
        "`pip download tiny-data==1.0` failed",
        "No matching distribution found",  # pip's own words
        "Connect to the network",
        str(cache / "tiny_data-1.0-py3-none-any.whl"),
        package.sha256,
    ):
        assert part in said
    assert files(cache) == []


def test_doing_what_the_error_says_fixes_it(downloads, cache, tmp_path):
    wheel = make_wheel(tmp_path / "elsewhere")
    package = pin(wheel)
    with pytest.raises(EngineError):
        downloads.fetch(package, package.member)
    wheel.rename(cache / "tiny_data-1.0-py3-none-any.whl")
    assert downloads.fetch(package, package.member).exists()


@pytest.mark.fault("a damaged or exchanged download")
def test_another_hash_is_refused_and_nothing_stays(downloads, cache, tmp_path):
    package = pin(make_wheel(tmp_path / "elsewhere"))
    other = pin(make_wheel(tmp_path / "index", {**MEMBERS, "tiny_data/one.csv": "evil"}))
    with pytest.raises(EngineError) as caught:
        downloads.fetch(package, package.member)
    assert package.sha256 in str(caught.value)
    assert other.sha256 in str(caught.value)
    assert files(cache) == []


def test_another_hash_does_not_harm_what_is_cached(downloads, cache, tmp_path):
    package = pin(make_wheel(tmp_path / "index"))
    file = downloads.fetch(package, package.member)
    make_wheel(tmp_path / "index", {**MEMBERS, "tiny_data/one.csv": "evil"})
    with pytest.raises(EngineError, match="SHA-256"):
        downloads.fetch(package, "tiny_data/more/")
    assert file.read_text() == MEMBERS["tiny_data/one.csv"]


def test_a_member_that_is_not_in_the_wheel_is_named(downloads, tmp_path):
    with pytest.raises(EngineError, match=r"no member 'tiny_data/two\.csv'"):
        downloads.fetch(pin(make_wheel(tmp_path / "index")), "tiny_data/two.csv")


def test_two_at_once_both_get_it(downloads, cache):
    package = pin(make_wheel(cache))
    found, errors = [], []

    def fetch():
        try:
            found.append(downloads.fetch(package, "tiny_data/more/"))
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=fetch) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(set(found)) == 1
    assert files(found[0]) == ["x.txt", "y.txt"]


def test_a_url_is_fetched_once_and_verified(downloads, cache, tmp_path):
    source = tmp_path / "x.csv"
    source.write_text("hello")
    sha256 = hashlib.sha256(b"hello").hexdigest()
    file = downloads.url(source.as_uri(), sha256, "x.csv")
    source.unlink()
    assert downloads.url(source.as_uri(), sha256, "x.csv") == file
    assert file.read_text() == "hello"
    with pytest.raises(EngineError, match="could not be downloaded"):
        downloads.url(source.as_uri(), "0" * 64, "x.csv")
    source.write_text("other")
    with pytest.raises(EngineError, match=r"0000.*It is not what was pinned"):
        downloads.url(source.as_uri(), "0" * 64, "x.csv")
    assert len(files(cache)) == 2


@pytest.mark.parametrize("url", ["http://example.org/x", "ftp://example.org/x", "x.csv"])
def test_only_https_and_files_are_fetched(downloads, url):
    with pytest.raises(ConfigError, match="https:// or file://"):
        downloads.url(url, "0" * 64, "x")


def test_a_local_path_must_exist(downloads, tmp_path):
    assert downloads.local(str(tmp_path)) == tmp_path
    with pytest.raises(ConfigError, match="does not exist"):
        downloads.local(str(tmp_path / "nowhere"))


@pytest.mark.parametrize("package", [RECBOLE, WIKIDATA_FILMS, SMOLLM2, MINILM])
def test_the_pins_are_complete(package):
    assert len(bytes.fromhex(package.sha256)) == 32
    assert package.licence
    assert package.stem == f"{package.name}-{package.version}"
