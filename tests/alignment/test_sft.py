"""Fine-tuning: it learns, and an interrupted run ends where an uninterrupted one does."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from safetensors.numpy import load_file

from curec_assets.alignment.sft import fine_tune
from curec_assets.alignment.training import last_checkpoint
from curec_assets.settings import AlignmentSettings
from resources.compute.accelerator import ResolvedAccelerator
from resources.models.base_models import LanguageModel
from resources.models.checkpoint import BaseCheckpoint
from resources.models.downloads import Downloads
from resources.storage.model_store import hash_files
from resources.tracking import UNTRACKED, TrackedRun
from tests.support.trackers import mlflow_runs, tensorboard_runs

pytestmark = pytest.mark.filterwarnings("ignore")  # TRL's and torch's own, in training

REPOSITORY = Path(__file__).parents[2]
SETTINGS = AlignmentSettings(
    reason_examples=26, verdict_examples=1, note_examples=1, batch_size=2, learning_rate=1e-2
)
CORPUS = pl.DataFrame(
    {
        "system": ["Use only the facts given."] * 26,
        "user": [f"Item: Film {n}\nGive the evidence only." for n in range(26)],
        "completion": [f"Evidence: liked none; verdict like {n}" for n in range(26)],
    }
)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("base")
    downloads = Downloads(cache_dir=str(folder / "downloads"))
    return LanguageModel(cache_dir=str(folder), downloads=downloads).prepare("tiny").path


def tuned(base: Path, folder: Path, tracking: TrackedRun = UNTRACKED) -> dict[str, object]:
    (folder / "out").mkdir(parents=True, exist_ok=True)
    return fine_tune(
        CORPUS,
        BaseCheckpoint(base),
        SETTINGS,
        seed=5,
        accelerator=ResolvedAccelerator("cpu", "float32", 1),
        workspace=folder / "work",
        output=folder / "out",
        tracking=tracking,
    )


KILLED = """
import logging, os, signal, sys
from pathlib import Path
from tests.alignment.test_sft import tuned

class KilledAtStep(logging.Handler):
    def emit(self, record):
        if "12 of 13 steps" in record.getMessage():
            os.kill(os.getpid(), signal.SIGKILL)

logger = logging.getLogger("curec_assets.alignment.sft")
logger.setLevel(logging.INFO)
logger.addHandler(KilledAtStep())
tuned(Path(sys.argv[1]), Path(sys.argv[2]))
"""


@pytest.mark.fault("SIGKILL while a checkpoint is written")
def test_a_killed_training_ends_where_an_uninterrupted_one_does(
    base: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    whole = tuned(base, tmp_path / "whole")
    losses = whole["loss"]
    assert isinstance(losses, list)
    assert len(losses) == whole["steps"] == 13
    assert losses[-1] < losses[0]

    killed = subprocess.run(
        [sys.executable, "-c", KILLED, str(base), str(tmp_path / "killed")],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONHASHSEED": "7"},
        capture_output=True,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()[-2000:]
    work = tmp_path / "killed" / "work"
    good = work / "checkpoint-10"
    assert [path.name for path in work.glob("checkpoint-*")] == [good.name]
    # What kills in the midst of a later checkpoint leave behind.
    (work / "checkpoint-11").mkdir()
    torn = shutil.copytree(good, work / "checkpoint-12")
    with (torn / "optimizer.pt").open("r+b") as file:
        file.truncate(100)

    resumed = tuned(base, tmp_path / "killed")
    assert [name for name in ("checkpoint-11", "checkpoint-12") if name in caplog.text] == [
        "checkpoint-11",
        "checkpoint-12",
    ]
    assert resumed["loss"] == pytest.approx(losses, rel=1e-5)
    name = "out/adapter/adapter_model.safetensors"
    first, second = load_file(tmp_path / "whole" / name), load_file(tmp_path / "killed" / name)
    assert first.keys() == second.keys()
    for key in first:
        assert second[key] == pytest.approx(first[key], abs=1e-6)


def test_a_damaged_checkpoint_is_never_taken(base: Path, tmp_path: Path) -> None:
    tuned(base, tmp_path)
    [checkpoint] = (tmp_path / "work").glob("checkpoint-*")
    assert last_checkpoint(tmp_path / "work") == str(checkpoint)
    damaged = checkpoint / "adapter_model.safetensors"
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2] ^= 1
    damaged.write_bytes(content)
    assert last_checkpoint(tmp_path / "work") is None
    assert not checkpoint.exists()


def test_equal_weights_have_equal_files_whatever_the_hash_seed(base: Path, tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from tests.alignment.test_sft import tuned; "
        "tuned(Path(sys.argv[1]), Path(sys.argv[2]))"
    )
    found = []
    for seed in ("1", "2"):
        subprocess.run(
            [sys.executable, "-c", script, str(base), str(tmp_path / seed)],
            cwd=REPOSITORY,
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        )
        found.append(hash_files(tmp_path / seed / "out"))
    assert found[0] == found[1]


def test_curves_are_tracked_on_disk_and_change_nothing(base: Path, tmp_path: Path) -> None:
    folder, environment = tmp_path / "tracking", dict(os.environ)
    run = TrackedRun(("mlflow", "tensorboard"), "mine", folder, "aligned_llm-1234")
    with run.environment():
        tracked = tuned(base, tmp_path / "tracked", run)
    assert dict(os.environ) == environment
    losses = pytest.approx(tracked["loss"], rel=1e-4)  # TensorBoard keeps 32 bits
    assert mlflow_runs(folder, "mine")["aligned_llm-1234"]["loss"] == losses
    assert tensorboard_runs(folder)["aligned_llm-1234"]["train/loss"] == losses
    written = [file.read_bytes() for file in folder.rglob("*") if file.is_file()]
    assert not any(text in each for text in (b"Film 3", b"facts given") for each in written)

    assert tuned(base, tmp_path / "untracked") == tracked
    made = [hash_files(tmp_path / name / "out") for name in ("tracked", "untracked")]
    assert made[0] == made[1]
    names = {path.name for path in tmp_path.rglob("*") if path.is_dir()}
    assert not names & {"mlruns", "runs", "wandb"}  # where the tools write when nobody says where
