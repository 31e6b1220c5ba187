"""Erasure on a home of data sets and one model; whatever interrupts it, it can be ended."""

import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import polars as pl
import pytest

from curec_assets.automation.lanes import REFIT, SLOW
from curec_assets.core.inputs import fits_folder
from curec_assets.core.provenance import digest
from curec_assets.datasets.assets import RECIPES
from curec_assets.lifecycle.erasure import forget, tainted
from curec_assets.lifecycle.traces import traces
from curec_assets.reasons.shards import keep_shard, kept_shard
from curec_assets.serving.votes import store_vote, stored_votes
from curec_assets.serving.writers import rung_file
from resources.storage.manifest import Manifest
from resources.storage.model_store import ModelStore, hash_files
from resources.storage.tombstones import without_forgotten
from resources.storage.warehouse import Warehouse
from tests.datasets.test_assets import run
from tests.support.written_home import vote

USER = "u07"


class Home:
    """Warehouse and model store of a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.warehouse = Warehouse(path=str(folder / "warehouse.duckdb"))
        self.store = ModelStore(root=str(folder / "models"))

    def events_of(self, user: str) -> list[str]:
        return self.warehouse.read("interactions").filter(user_id=user)["event_id"].to_list()

    def forget(self, user: str = USER) -> None:
        forget(user, RECIPES, self.warehouse, self.store, fitted=["evidence_model"])

    @property
    def versions(self) -> dict[str, str]:
        """Of every table and of the model, and what these name as their inputs."""
        manifests = [*self.warehouse.manifests(), self.store.current("evidence_model").manifest]
        return {m.asset: f"{m.data_version} {sorted(m.inputs.items())}" for m in manifests}

    @property
    def traces(self) -> list[str]:
        return traces(USER, [], self.warehouse, self.store, None)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home of the toy set, with a model that keeps what it said of each event, votes on reasons,
    and what a benchmark keeps.
    """
    folder = tmp_path_factory.mktemp("made")
    assert run(folder).success
    home = Home(folder)
    splits = home.warehouse.read("event_splits", ["event_id", "user_id"])
    with home.store.writing("evidence_model") as files:
        splits.select("event_id").write_parquet(files / "predictions.parquet")
        (files / "pool.json").write_text('[{"user_id": "u07"}, {"user_id": "u08"}]', "utf-8")
        manifest = Manifest(
            asset="evidence_model",
            fingerprint="f",
            data_version=digest(hash_files(files)),
            code_version="c",
            inputs={"event_splits": f"f {home.warehouse.data_version('event_splits')}"},
            files=hash_files(files),
            created_at=datetime.now(UTC),
        )
        home.store.commit(files, manifest)
    for user in (USER, "u08"):
        event_id = splits.filter(user_id=user)["event_id"][0]
        store_vote(folder, home.warehouse, vote(event_id))
    keep_shard(splits.head(splits.height // 2), folder / "benchmark" / "uncorrected", "0000")
    keep_shard(splits.filter(user_id="u08"), folder / "benchmark" / "uncorrected", "0001")
    rung = rung_file(folder, "untuned")
    rung.parent.mkdir()
    splits.write_parquet(rung)
    rung.with_name(".aligned.parquet.123").write_bytes(rung.read_bytes())
    return folder


@pytest.fixture
def home(made: Path, tmp_path: Path) -> Home:
    return Home(Path(shutil.copytree(made, tmp_path / "home")))


def test_rows_go_from_tables_and_models_and_the_others_stay(home: Home) -> None:
    before = home.warehouse.read("interactions")
    fits = fits_folder(home.store)
    fits.mkdir(parents=True)
    assert len(home.traces) > 4
    home.forget()
    assert not fits.exists()
    assert home.traces == []
    others = before.filter(pl.col("user_id") != USER)
    assert home.warehouse.read("interactions").equals(others)
    kept = home.store.current("evidence_model")
    assert pl.read_parquet(kept.path / "predictions.parquet").height == others.height
    assert tainted(home.store, ["evidence_model"]) == ["evidence_model"]


def test_votes_and_texts_of_benchmarks_go_too(home: Home) -> None:
    assert len(stored_votes(home.folder)) == 2
    assert any("untuned.parquet" in trace for trace in home.traces)
    [mine] = {
        each.event_id for each in stored_votes(home.folder) if each.event_id in home.events_of(USER)
    }
    before = (home.folder / "votes.jsonl").read_bytes()
    home.forget()
    [kept] = stored_votes(home.folder)
    assert kept.event_id != mine and kept.event_id in home.events_of("u08")
    assert stat.S_IMODE((home.folder / "votes.jsonl").stat().st_mode) == 0o600
    benchmark = home.folder / "benchmark"
    [shard] = benchmark.glob("uncorrected/*")  # the other one is walked again
    assert kept_shard(shard.parent, "0001") == shard
    [rung] = (benchmark / "texts").iterdir()
    assert pl.read_parquet(rung)["user_id"].unique().len() > 1
    assert home.traces == []
    (home.folder / "votes.jsonl").write_bytes(before)
    [trace] = home.traces
    assert "1 votes in" in trace and "events that are no longer there" in trace
    home.forget()
    assert home.traces == []


@pytest.mark.fault("parts of the home are links")
def test_what_a_home_keeps_on_another_disk_knows_the_user_no_more(
    home: Home, tmp_path: Path
) -> None:
    """Parts of the home are links: they are searched, and what they lead to is what is cleared."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    parts = {"warehouse.duckdb": home.folder, "evidence_model": home.folder / "models"}
    for name, folder in parts.items():
        shutil.move(folder / name, elsewhere / name)
        (folder / name).symlink_to(elsewhere / name)
    (elsewhere / "evidence_model" / "back").symlink_to(elsewhere, target_is_directory=True)
    before = home.traces
    assert any("pool.json" in trace for trace in before)
    assert any(trace.startswith("table ") for trace in before)
    home.forget()
    assert home.traces == []
    assert all((folder / name).is_symlink() for name, folder in parts.items())
    moved = Warehouse(path=str(elsewhere / "warehouse.duckdb"))
    assert not moved.read("interactions").filter(user_id=USER).height
    assert USER.encode() not in (elsewhere / "warehouse.duckdb").read_bytes()


def test_manifests_name_what_is_there(home: Home) -> None:
    home.forget()
    versions = {m.asset: m.data_version for m in home.warehouse.manifests()}
    for manifest in home.warehouse.manifests():
        for name, version in manifest.inputs.items():
            assert version == versions.get(name, version), (manifest.asset, name)
    model = home.store.current("evidence_model").manifest
    assert model.inputs == {"event_splits": f"f {versions['event_splits']}"}


def test_what_follows_new_data_is_as_it_would_be_made(home: Home) -> None:
    home.forget()
    before = home.versions
    assert run(home.folder).success
    after = home.versions
    assert {name for name in before if after[name] != before[name]} <= {*SLOW, *REFIT}


def test_no_file_brings_the_user_back(home: Home) -> None:
    home.forget()
    rows = pl.DataFrame({"user_id": [USER, "u08", None]})
    assert without_forgotten(home.warehouse, rows)["user_id"].to_list() == ["u08", None]


def test_a_table_of_an_earlier_version_goes(home: Home) -> None:
    with home.warehouse.writing() as connection:
        connection.execute("CREATE TABLE raw_interactions AS SELECT user_id FROM interactions")
    home.forget()
    assert home.traces == []


def test_whom_nobody_knows_is_forgotten_too(home: Home) -> None:
    before = home.versions
    home.forget("nobody")
    assert home.versions == before
    rows = pl.DataFrame({"user_id": ["nobody"]})
    assert without_forgotten(home.warehouse, rows).is_empty()


class Killed(BaseException):
    """As if the process had ended there."""


@contextmanager
def killed_at(step: int, patch: pytest.MonkeyPatch) -> Iterator[None]:
    """Ends at the n-th time that a file is put in place or a transaction begins."""
    steps = count()

    def counted(function):  # type: ignore[no-untyped-def]
        def call(*arguments, **named):  # type: ignore[no-untyped-def]
            if next(steps) == step:
                raise Killed
            return function(*arguments, **named)

        return call

    with patch.context() as patched:
        patched.setattr(Path, "replace", counted(Path.replace))
        patched.setattr(Warehouse, "writing", counted(Warehouse.writing))
        yield


@pytest.mark.fault("an erasure ended anywhere")
def test_an_erasure_that_was_killed_anywhere_is_ended_by_the_same_command(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Home(Path(shutil.copytree(made, tmp_path / "whole")))
    whole.forget()
    for step in count(0, 3):  # every third, for each takes seconds
        home = Home(Path(shutil.copytree(made, tmp_path / str(step))))
        try:
            with killed_at(step, monkeypatch):
                home.forget()
        except Killed:
            home.forget()
            assert home.versions == whole.versions, step
            assert home.traces == [], step
        else:
            break
    assert step > 8
