"""Fine-tuning: it learns, and an interrupted run ends where an uninterrupted one does."""

import logging
from pathlib import Path

import polars as pl
import pytest
from safetensors.numpy import load_file

from curec_assets.alignment.sft import fine_tune
from curec_assets.settings import AlignmentSettings
from resources.compute.accelerator import ResolvedAccelerator
from resources.models.base_models import LanguageModel
from resources.models.checkpoint import BaseCheckpoint
from resources.models.downloads import Downloads

pytestmark = pytest.mark.filterwarnings("ignore")  # TRL's and torch's own, in training

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


def tuned(base: Path, folder: Path) -> dict[str, object]:
    (folder / "out").mkdir(parents=True, exist_ok=True)
    return fine_tune(
        CORPUS,
        BaseCheckpoint(base),
        SETTINGS,
        seed=5,
        accelerator=ResolvedAccelerator("cpu", "float32", 1),
        workspace=folder / "work",
        output=folder / "out",
    )


def test_an_interrupted_training_ends_where_an_uninterrupted_one_does(
    base: Path, tmp_path: Path
) -> None:
    class KilledAtStep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if isinstance(record.args, tuple) and record.args[1] == 12:
                raise KeyboardInterrupt

    whole = tuned(base, tmp_path / "whole")
    losses = whole["loss"]
    assert isinstance(losses, list)
    assert len(losses) == whole["steps"] == 13
    assert losses[-1] < losses[0]

    logger = logging.getLogger("curec_assets.alignment.sft")
    level, handler = logger.level, KilledAtStep()
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            tuned(base, tmp_path / "killed")
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
    assert [p.name for p in (tmp_path / "killed" / "work").glob("checkpoint-*")] == [
        "checkpoint-10"
    ]
    resumed = tuned(base, tmp_path / "killed")
    assert resumed["loss"] == pytest.approx(losses, rel=1e-5)
    name = "out/adapter/adapter_model.safetensors"
    first, second = load_file(tmp_path / "whole" / name), load_file(tmp_path / "killed" / name)
    assert first.keys() == second.keys()
    for key in first:
        assert second[key] == pytest.approx(first[key], abs=1e-6)
