"""Supervised fine-tuning: TRL's `SFTTrainer` with a LoRA adapter on the base model."""

import logging
import math
from pathlib import Path
from typing import Any

import polars as pl

from curec_assets.alignment.training import (
    ProgressCallback,
    completion_logits_only,
    last_checkpoint,
    save_adapter,
    trainer_defaults,
)
from curec_assets.settings import AlignmentSettings
from resources.accelerator import ResolvedAccelerator

log = logging.getLogger(__name__)

_MICRO_BATCH = 4  # activations of more examples at once cost memory and gain no speed on a CPU


def fine_tune(
    corpus: pl.DataFrame,
    base: Path,
    settings: AlignmentSettings,
    *,
    seed: int,
    place: ResolvedAccelerator,
    workspace: Path,
    output: Path,
) -> dict[str, Any]:
    """Train on the corpus (in its order), save the adapter to `output/adapter`; return metrics.

    Token cross-entropy on the completions only. Checkpoints go to `workspace`, from where an
    interrupted run goes on.
    """
    import torch
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import AutoModelForCausalLM, AutoTokenizer, PrinterCallback
    from trl import SFTConfig, SFTTrainer

    tokenizer = AutoTokenizer.from_pretrained(base)
    model = AutoModelForCausalLM.from_pretrained(base, dtype=getattr(torch, place.dtype))
    dataset = Dataset.from_list(
        [
            {
                "prompt": [
                    {"role": "system", "content": row["system"]},
                    {"role": "user", "content": row["user"]},
                ],
                "completion": [{"role": "assistant", "content": row["completion"]}],
            }
            for row in corpus.iter_rows(named=True)
        ]
    )
    layers = range(settings.lora_first_layer, model.config.num_hidden_layers)
    micro_batch = math.gcd(settings.batch_size, _MICRO_BATCH)
    trainer = SFTTrainer(
        model=model,
        processing_class=tokenizer,
        train_dataset=dataset,
        args=SFTConfig(
            **trainer_defaults(workspace, seed, place),
            num_train_epochs=settings.epochs,
            per_device_train_batch_size=micro_batch,
            gradient_accumulation_steps=settings.batch_size // micro_batch,
            learning_rate=settings.learning_rate,
            lr_scheduler_type="cosine",
            warmup_steps=2,
            max_length=1024,
            completion_only_loss=True,
            save_steps=10,
        ),
        peft_config=LoraConfig(
            r=settings.lora_rank,
            lora_alpha=2 * settings.lora_rank,
            target_modules=[f"{name}_proj" for name in ("q", "k", "v", "o", "gate", "up", "down")],
            layers_to_transform=list(layers),
            task_type="CAUSAL_LM",
        ),
        callbacks=[ProgressCallback(log, "alignment")],
    )
    trainer.remove_callback(PrinterCallback)  # ProgressCallback tells the same in the run's log
    with completion_logits_only():
        trainer.train(resume_from_checkpoint=last_checkpoint(workspace))
    save_adapter(trainer, output / "adapter")
    history = [entry for entry in trainer.state.log_history if "loss" in entry]
    return {
        "loss": [entry["loss"] for entry in history],
        "token_accuracy": [entry.get("mean_token_accuracy") for entry in history],
        "examples": len(dataset),
        "steps": trainer.state.global_step,
    }
