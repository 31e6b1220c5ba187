"""What fine-tuning by imitation and by reinforcement have in common."""

import json
import logging
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR

from resources.compute.accelerator import ResolvedAccelerator
from resources.pace import how_far
from resources.storage.model_store import hash_files
from resources.tracking import UNTRACKED, TrackedRun

log = logging.getLogger(__name__)

_WHOLE = "whole.json"
"""In a checkpoint: hash of each of its files, written last."""
MICRO_BATCH = 4  # activations of more examples at once cost memory and gain no speed on a CPU


def trainer_defaults(
    workspace: Path,
    seed: int,
    accelerator: ResolvedAccelerator,
    tracking: TrackedRun = UNTRACKED,
) -> dict[str, Any]:
    """Arguments that every trainer here shares."""
    return {
        "output_dir": str(workspace),
        "seed": seed % 2**32,
        "data_seed": seed % 2**32,
        "bf16": accelerator.dtype == "bfloat16",
        "use_cpu": accelerator.device == "cpu",
        "gradient_checkpointing": accelerator.device != "cpu",
        "logging_steps": 1,
        "save_strategy": "steps",
        **tracking.trainer_arguments(),
        "disable_tqdm": True,
        "dataloader_num_workers": 0,
        "dataloader_pin_memory": accelerator.device != "cpu",
    }


def save_adapter(trainer: Any, folder: Path) -> None:
    """Save the adapter's weights and shape; nothing pickled, and nothing of this machine or run.

    TRL's own `save_model` adds pickled arguments, and PEFT the base model's path and a README: the
    content would differ from one home to the next. The manifest names the base model's revision.
    """
    trained = trainer.accelerator.unwrap_model(trainer.model)
    trained.save_pretrained(folder, selected_adapters=["default"])
    (folder / "README.md").unlink(missing_ok=True)
    config = folder / "adapter_config.json"
    values = json.loads(config.read_text(encoding="utf-8"))
    values["base_model_name_or_path"] = None
    values["target_modules"] = sorted(values["target_modules"])  # PEFT writes a set as it comes
    config.write_text(json.dumps(values, indent=2, sort_keys=True), encoding="utf-8")


def last_checkpoint(workspace: Path) -> str | None:
    """Where an interrupted training left off, if it did: its latest checkpoint that is whole.

    Checkpoints that are not, for the process was killed in the midst, are removed with a warning.
    """
    found = sorted(workspace.glob(f"{PREFIX_CHECKPOINT_DIR}-*"), key=_step, reverse=True)
    for folder in found:
        if _is_whole(folder):
            return str(folder)
        log.warning(
            "%s is not whole (killed while it was written, or damaged): left out, and removed; "
            "training goes on from the checkpoint before, or from the start",
            folder,
        )
        shutil.rmtree(folder)
    return None


def _step(checkpoint: Path) -> int:
    return int(checkpoint.name.rpartition("-")[2])


def _is_whole(checkpoint: Path) -> bool:
    """Whether every file is as it was when the checkpoint was done."""
    try:
        files = json.loads((checkpoint / _WHOLE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return bool(files == _files(checkpoint))


def _files(checkpoint: Path) -> dict[str, str]:
    return {name: hashed for name, hashed in hash_files(checkpoint).items() if name != _WHOLE}


class WholeCheckpoints(TrainerCallback):
    """Marks a checkpoint as whole, by hashes of its files, once all of it is written.

    Only then those before it go: at any moment there is one that is whole.
    """

    def on_save(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: Any,
    ) -> None:
        """The trainer has written its last file."""
        folder = Path(str(args.output_dir)) / f"{PREFIX_CHECKPOINT_DIR}-{state.global_step}"
        temporary = folder.with_name(f".{folder.name}.{_WHOLE}")
        temporary.write_text(json.dumps(_files(folder)), encoding="utf-8")
        temporary.replace(folder / _WHOLE)
        for older in folder.parent.glob(f"{PREFIX_CHECKPOINT_DIR}-*"):
            if _step(older) < state.global_step:
                shutil.rmtree(older)


@contextmanager
def completion_logits_only() -> Iterator[None]:
    """Within the block, TRL computes vocabulary logits for completion tokens only, on every device.

    TRL 1.16's fused language-model head drops the masked positions only where Triton runs and
    scores every prompt token elsewhere (`trl/trainer/utils.py`, `compact`), which on a CPU is a
    large part of a step. The switch is a module attribute, put back at the end.
    """
    import trl.trainer.utils as trl_utils

    before = trl_utils._use_triton
    trl_utils._use_triton = lambda device: True
    try:
        yield
    finally:
        trl_utils._use_triton = before


class ProgressCallback(TrainerCallback):
    """One log line per optimiser step: how far, how long, and the loss."""

    def __init__(self, log: logging.Logger, what: str) -> None:
        self._log = log
        self._what = what
        self._started = time.monotonic()
        self._before: int | None = None

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        """Write the line."""
        shown = {
            name: round(float(value), 4)
            for name, value in (logs or {}).items()
            if name in ("loss", "reward", "mean_token_accuracy")
        }
        seconds = time.monotonic() - self._started
        if self._before is None:  # more than 0 where a checkpoint was taken up
            self._before = state.global_step - 1
        done = how_far(state.global_step, state.max_steps, seconds, "step", self._before)
        self._log.info("%s: %s %s", self._what, done, shown)
