"""Retention: what is current, kept or needed by what is kept stays; the rest is found."""

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from curec_assets.cli.app import main
from resources.storage.manifest import Manifest
from resources.storage.model_store import ModelStore
from resources.storage.retention import kept_versions, leftovers, remove

START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return ModelStore(root=str(tmp_path / "models"))


def save(store: ModelStore, asset: str, version: int, **inputs: str) -> None:
    with store.writing(asset) as folder:
        (folder / "weights").write_text(f"{asset} {version}")
        made = Manifest(
            asset=asset,
            fingerprint=f"f{version}",
            data_version=f"{asset}-{version}",
            code_version="1",
            inputs=inputs,
            created_at=START + timedelta(days=version),
        )
        store.commit(folder, made)


def generations(store: ModelStore) -> None:
    """Four aligned models; policies 1 and 3 were made from the models of their number."""
    for version in (1, 2, 3, 4):
        save(store, "aligned", version)
        if version % 2:
            save(store, "policy", version, aligned=f"aligned-{version}")


def names(store: ModelStore, before: int) -> set[str]:
    found = leftovers(store, kept_versions(store, before), ())
    return {str(each.path.relative_to(store.root)) for each in found}


def test_only_what_no_kept_version_came_from_goes(store: ModelStore) -> None:
    generations(store)
    assert names(store, before=0) == {"aligned/f1", "aligned/f2", "policy/f1"}
    assert names(store, before=1) == {"aligned/f2"}
    assert names(store, before=9) == set()


def test_the_current_version_stays_even_when_it_is_the_oldest(store: ModelStore) -> None:
    generations(store)
    store.set_current("aligned", "f2")
    assert "aligned/f2" not in names(store, before=0)
    assert "aligned/f4" in names(store, before=0)


def test_a_pinned_version_stays_with_what_it_came_from_until_it_is_unpinned(
    store: ModelStore,
) -> None:
    generations(store)
    store.pin("policy", "f1")
    assert names(store, before=0) == {"aligned/f2"}
    store.unpin("policy", "f1")
    assert names(store, before=0) == {"aligned/f1", "aligned/f2", "policy/f1"}


def test_what_a_kept_version_names_by_lineage_stays(store: ModelStore) -> None:
    generations(store)
    save(store, "archive", 1, aligned="f1 aligned-1", policy="f9 policy-1")
    assert names(store, before=0) == {"aligned/f2", "policy/f1"}


def test_work_that_may_go_on_stays(store: ModelStore) -> None:
    save(store, "aligned", 1)
    (store.workspace("aligned", "f2") / "checkpoint").write_text("x")
    assert names(store, before=0) == set()
    assert names(ModelStore(root=store.root + "-none"), before=0) == set()


def test_given_up_work_and_old_completions_go(store: ModelStore, tmp_path: Path) -> None:
    store.workspace("aligned", "f0")
    good, old = store.kept("completions", "good"), store.kept("completions", "old")
    for folder in (good, old):
        folder.mkdir(parents=True)
    later = (datetime.now(UTC) - START).days + 1
    save(store, "aligned", later)
    found = leftovers(store, kept_versions(store, 0), {good})
    assert [each.path.name for each in found] == [".f0.work", ".old.kept"]
    remove(found)
    assert good.exists() and not old.exists()
    assert store.current("aligned").manifest.fingerprint == f"f{later}"


@pytest.mark.fault("parts of the home are links")
def test_of_a_link_only_the_link_goes(store: ModelStore, tmp_path: Path) -> None:
    generations(store)
    outside = tmp_path / "outside"
    shutil.copytree(Path(store.root) / "policy" / "f1", outside)
    shutil.rmtree(Path(store.root) / "policy" / "f1")
    (Path(store.root) / "policy" / "f1").symlink_to(outside)
    remove(leftovers(store, kept_versions(store, 0), set()))
    assert not (Path(store.root) / "policy" / "f1").is_symlink()
    assert (outside / "manifest.json").exists()


def test_a_dry_run_removes_nothing(
    store: ModelStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    generations(store)
    monkeypatch.setenv("CUREC_HOME", str(tmp_path))
    assert main(["prune"]) == 0
    assert "would be removed" in capsys.readouterr().out
    assert (tmp_path / "models" / "aligned" / "f2").exists()
    assert main(["prune", "--delete"]) == 0
    assert not (tmp_path / "models" / "aligned" / "f2").exists()
    assert main(["prune"]) == 0
    assert "Nothing to remove" in capsys.readouterr().out
