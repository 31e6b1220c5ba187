"""Supervised fine-tuning: TRL's `SFTTrainer` with a LoRA adapter on the base model."""

import logging
import math
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl

from curec_assets.alignment.training import (
    MICRO_BATCH,
    ProgressCallback,
    WholeCheckpoints,
    completion_logits_only,
    last_checkpoint,
    save_adapter,
    trainer_defaults,
)
from curec_assets.settings import AlignmentSettings
from resources.compute.accelerator import ResolvedAccelerator
from resources.compute.memory import release
from resources.errors import EngineError
from resources.models.checkpoint import BaseCheckpoint
from resources.tracking import UNTRACKED, TrackedRun

log = logging.getLogger(__name__)

_WARM_UP = 0.12
"""Share of the steps. After two of 82 another loss of levels was seen to rise fivefold."""


def fine_tune(
    corpus: pl.DataFrame,
    base: BaseCheckpoint,
    settings: AlignmentSettings,
    *,
    seed: int,
    accelerator: ResolvedAccelerator,
    workspace: Path,
    output: Path,
    tracking: TrackedRun = UNTRACKED,
) -> dict[str, Any]:
    """Train on the corpus (in its order), save the adapter to `output/adapter`; return metrics.

    Token cross-entropy on the completions only, and a loss of their levels (`level_loss`).
    Checkpoints go to `workspace`, from where an interrupted run goes on. `tracking`: what is told
    of it, within its `environment`.
    """
    trainer = sft_trainer(
        corpus,
        base,
        settings,
        seed=seed,
        accelerator=accelerator,
        workspace=workspace,
        tracking=tracking,
    )
    with completion_logits_only():
        trainer.train(resume_from_checkpoint=last_checkpoint(workspace))
    save_adapter(trainer, output / "adapter")
    history = [entry for entry in trainer.state.log_history if "loss" in entry]
    steps, examples = trainer.state.global_step, len(trainer.train_dataset)
    del trainer
    release()
    return {
        "loss": [entry["loss"] for entry in history],
        "token_accuracy": [entry.get("mean_token_accuracy") for entry in history],
        "level_error": [entry.get("level_error") for entry in history],
        "examples": examples,
        "examples_left_out": corpus.height - examples,
        "steps": steps,
    }


def sft_trainer(
    corpus: pl.DataFrame,
    base: BaseCheckpoint,
    settings: AlignmentSettings,
    *,
    seed: int,
    accelerator: ResolvedAccelerator,
    workspace: Path,
    tracking: TrackedRun = UNTRACKED,
    plain: bool = False,
    **changes: Any,
) -> Any:
    """TRL's `SFTTrainer` on the corpus, ready to train; `changes` override fields of `SFTConfig`.

    `plain`: TRL's own and nothing else, without what `level_loss` adds; `fine_tune` adds what makes
    it fast.
    """
    import torch
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import AutoModelForCausalLM, AutoTokenizer, PrinterCallback
    from trl import SFTConfig, SFTTrainer

    from curec_assets.alignment.level_loss import LevelTrainer

    tokenizer = AutoTokenizer.from_pretrained(base.path, trust_remote_code=base.trust_remote_code)
    model = AutoModelForCausalLM.from_pretrained(
        base.path, dtype=getattr(torch, accelerator.dtype), trust_remote_code=base.trust_remote_code
    )
    dataset = Dataset.from_list(_examples(corpus, tokenizer, settings.max_tokens))
    layers = range(settings.lora_first_layer, model.config.num_hidden_layers)
    micro_batch = math.gcd(settings.batch_size, MICRO_BATCH)
    arguments = {
        **trainer_defaults(workspace, seed, accelerator, tracking),
        "num_train_epochs": settings.epochs,
        "per_device_train_batch_size": micro_batch,
        "gradient_accumulation_steps": settings.batch_size // micro_batch,
        "learning_rate": settings.learning_rate,
        "lr_scheduler_type": "cosine",
        "warmup_steps": _WARM_UP,
        "max_length": settings.max_tokens,
        "completion_only_loss": True,
        "save_steps": 10,
    }
    trainer_class = (
        SFTTrainer
        if plain
        else partial(
            LevelTrainer,
            score_weight=settings.level_score_weight,
            word_weight=settings.level_word_weight,
        )
    )
    trainer: Any = trainer_class(
        model=model,
        processing_class=tokenizer,
        train_dataset=dataset,
        args=SFTConfig(**{**arguments, **changes}),
        peft_config=LoraConfig(
            r=settings.lora_rank,
            lora_alpha=2 * settings.lora_rank,
            target_modules=[f"{name}_proj" for name in ("q", "k", "v", "o", "gate", "up", "down")],
            layers_to_transform=list(layers),
            task_type="CAUSAL_LM",
        ),
        callbacks=[ProgressCallback(log, "alignment"), WholeCheckpoints()],
    )
    trainer.remove_callback(PrinterCallback)  # ProgressCallback tells the same in the run's log
    return trainer


def _examples(corpus: pl.DataFrame, tokenizer: Any, max_tokens: int) -> list[dict[str, Any]]:
    """The corpus as TRL wants it, less the examples that are too long: to cut one would cut its
    completion.
    """
    examples = []
    for row in corpus.iter_rows(named=True):
        prompt = [
            {"role": "system", "content": row["system"]},
            {"role": "user", "content": row["user"]},
        ]
        completion = [{"role": "assistant", "content": row["completion"]}]
        text = tokenizer.apply_chat_template([*prompt, *completion], tokenize=False)
        if len(tokenizer(text, add_special_tokens=False)["input_ids"]) <= max_tokens:
            drawn = bool(row.get("handles_drawn"))
            examples.append({"prompt": prompt, "completion": completion, "handles_drawn": drawn})
    if not examples:
        raise EngineError(
            f"all {corpus.height} examples of the alignment corpus are longer than {max_tokens} "
            "tokens; raise alignment.max_tokens, or lower explanation.attributes"
        )
    if len(examples) < corpus.height:
        log.warning(
            "%d of %d examples are longer than %d tokens and left out",
            corpus.height - len(examples),
            corpus.height,
            max_tokens,
        )
    return examples
