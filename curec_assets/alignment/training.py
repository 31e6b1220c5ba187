"""What fine-tuning by imitation and by reinforcement have in common."""

import json
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_utils import get_last_checkpoint

from resources.compute.accelerator import ResolvedAccelerator

MICRO_BATCH = 4  # activations of more examples at once cost memory and gain no speed on a CPU


def trainer_defaults(
    workspace: Path, seed: int, accelerator: ResolvedAccelerator
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
        "save_total_limit": 1,
        "report_to": [],
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
    config.write_text(json.dumps(values, indent=2, sort_keys=True), encoding="utf-8")


def last_checkpoint(workspace: Path) -> str | None:
    """Where an interrupted training left off, if it did."""
    found: str | None = get_last_checkpoint(str(workspace)) if workspace.exists() else None
    return found


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
        self._log.info(
            "%s: step %d of %d after %.0f s %s",
            self._what,
            state.global_step,
            state.max_steps,
            seconds,
            shown,
        )
