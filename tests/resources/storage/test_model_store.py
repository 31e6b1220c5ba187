"""The model store: nothing half-written is ever taken for a model, nothing stored is lost."""

import errno
import json
import shutil
import signal
import subprocess
import sys
from datetime import UTC, datetime

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

from resources.errors import ArtifactError
from resources.storage.manifest import Manifest
from resources.storage.model_store import ModelStore, hash_files


@pytest.fixture
def store(tmp_path):
    return ModelStore(root=str(tmp_path / "models"))


def manifest(folder, fingerprint):
    return Manifest(
        asset="model",
        fingerprint=fingerprint,
        data_version="v" + fingerprint,
        code_version="1",
        files=hash_files(folder),
        created_at=datetime.now(UTC),
    )


def save(store, fingerprint="f1", value=1.0):
    with store.writing("model") as folder:
        (folder / "adapter").mkdir()
        save_file({"w": torch.full((8,), value)}, folder / "adapter" / "weights.safetensors")
        return store.commit(folder, manifest(folder, fingerprint))


def folders(store, tmp_path):
    return sorted(path.name for path in (tmp_path / "models" / "model").iterdir())


def test_what_is_saved_is_found_again(store):
    saved = save(store)
    for found in (store.find("model", "f1"), store.current("model")):
        assert found == saved
    assert list(saved.manifest.files) == ["adapter/weights.safetensors"]


def test_nothing_stored_says_what_to_do(store):
    assert store.find("model", "f1") is None
    with pytest.raises(ArtifactError, match="materialise the asset 'model' first"):
        store.current("model")


def test_a_crash_before_the_manifest_leaves_the_older_current(store, tmp_path):
    save(store, "f1")
    with pytest.raises(KeyboardInterrupt), store.writing("model") as folder:
        (folder / "weights.safetensors").write_bytes(b"half")
        raise KeyboardInterrupt
    assert store.current("model").manifest.fingerprint == "f1"
    assert folders(store, tmp_path) == ["current.json", "f1"]


def test_a_kill_that_leaves_files_behind_leaves_nothing_current(store, tmp_path):
    left = tmp_path / "models" / "model" / ".writing-xyz"
    left.mkdir(parents=True)
    (left / "weights.safetensors").write_bytes(b"half")
    with pytest.raises(ArtifactError, match="first"):
        store.current("model")


def wrapped_by_safetensors():
    return SafetensorError(
        "Error while serializing: I/O error: No space left on device (os error 28)"
    )


@pytest.mark.fault("full disk")
@pytest.mark.parametrize(
    "full",
    [OSError(errno.ENOSPC, "No space left on device"), wrapped_by_safetensors()],
    ids=["os", "safetensors"],
)
@pytest.mark.parametrize("when", ["weights", "manifest"])
def test_a_full_disk_leaves_the_older_artifact(store, tmp_path, monkeypatch, full, when):
    older = save(store, "f1")

    def fails(*_, **__):
        raise full

    target = {"weights": f"{__name__}.save_file", "manifest": "pathlib.Path.write_text"}[when]
    monkeypatch.setattr(target, fails)
    with pytest.raises(ArtifactError, match=r"'model' could not be saved.*Free disk space"):
        save(store, "f2")
    monkeypatch.undo()
    assert store.current("model") == older
    assert folders(store, tmp_path) == ["current.json", "f1"]
    assert save(store, "f2").manifest.fingerprint == "f2"


def test_other_errors_are_not_called_a_full_disk(store):
    with pytest.raises(ConnectionError), store.writing("model"):
        raise ConnectionError("the server hung up")


def test_a_corrupted_file_is_named_with_the_fix(store):
    saved = save(store)
    file = saved.path / "adapter" / "weights.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    for look in (lambda: store.current("model"), lambda: store.find("model", "f1")):
        with pytest.raises(ArtifactError) as caught:
            look()
        assert str(file) in str(caught.value)
        assert f"move {saved.path} away and materialise again" in str(caught.value)


def test_a_lost_file_is_named(store):
    saved = save(store)
    (saved.path / "adapter" / "weights.safetensors").unlink()
    with pytest.raises(ArtifactError, match=r"weights\.safetensors: found no file"):
        store.current("model")


@pytest.mark.parametrize("damage", [None, "", "{", "[]", '{"asset": "model"}', "\x00"])
def test_a_damaged_manifest_is_named_with_the_fix(store, damage):
    saved = save(store)
    file = saved.path / "manifest.json"
    if damage is None:
        file.unlink()
    else:
        file.write_text(damage)
    with pytest.raises(ArtifactError, match=r"manifest\.json is missing or damaged") as caught:
        store.current("model")
    assert f"move {saved.path} away and materialise again" in str(caught.value)


def test_doing_what_the_error_says_fixes_it(store, tmp_path):
    saved = save(store)
    (saved.path / "manifest.json").write_text("{")
    saved.path.rename(tmp_path / "away")
    assert store.find("model", "f1") is None
    assert save(store) == store.current("model")


@pytest.mark.parametrize("damage", ["", "[]", "3", "{}"])
def test_a_damaged_pointer_is_named(store, tmp_path, damage):
    save(store)
    (tmp_path / "models" / "model" / "current.json").write_text(damage)
    with pytest.raises(ArtifactError, match=r"current\.json is damaged"):
        store.current("model")


def test_a_pointer_to_nothing_is_named(store):
    shutil.rmtree(save(store).path)
    with pytest.raises(ArtifactError, match=r"f1, which is not in the store"):
        store.current("model")


def test_when_two_processes_make_the_same_the_first_stays(store):
    with store.writing("model") as slow:
        (slow / "weights.txt").write_text("slow")
        first = save(store)
        second = store.commit(slow, manifest(slow, "f1"))
    assert second == first == store.current("model")


def test_what_a_killed_process_had_begun_is_swept_and_no_one_elses(store, tmp_path):
    script = (
        "import os, signal, sys; from resources.storage.model_store import ModelStore\n"
        "with ModelStore(root=sys.argv[1]).writing('model') as folder:\n"
        "    (folder / 'weights').write_text('x'); os.kill(os.getpid(), signal.SIGKILL)"
    )
    killed = subprocess.run([sys.executable, "-c", script, store.root], check=False)
    assert killed.returncode == -signal.SIGKILL
    [left] = (tmp_path / "models" / "model").glob(".writing-*")
    with store.writing("model") as mine, store.writing("model") as other:
        assert not left.exists()
        assert mine.exists() and other.exists()


def test_checkpoints_survive_a_kill_and_go_when_the_work_is_done(store):
    (store.workspace("model", "f1") / "step-1").write_text("x")
    assert (store.workspace("model", "f1") / "step-1").exists()
    save(store)
    assert list(store.workspace("model", "f1").iterdir()) == []


def test_the_manifest_is_plain_json_and_the_pointer_names_it(store, tmp_path):
    saved = save(store)
    assert json.loads((saved.path / "manifest.json").read_text())["fingerprint"] == "f1"
    pointer = json.loads((tmp_path / "models" / "model" / "current.json").read_text())
    assert pointer == {"fingerprint": "f1"}
