"""TRL's `GRPOTrainer` with log-probabilities among what the grammar allowed."""

from typing import Any

import torch
from torch import Tensor
from trl import GRPOTrainer
from trl.trainer.utils import use_adapter

from curec_assets.policy.choices import log_probabilities
from curec_assets.policy.rollout import Rollout

ALIGNED = "ref"
"""Name of the frozen copy of the aligned adapter; TRL's, which makes one where `beta` is not 0."""


class ChoiceTrainer(GRPOTrainer):
    """GRPO of rollouts under grammars.

    TRL takes every log-probability (of the policy, of the policy before the step, of the aligned
    model) in one method, over the whole vocabulary, and hands it nothing of a rollout but tokens.
    Here the rollout is asked what each of them was chosen among. A KL to the aligned model is
    logged at every step: TRL measures it where `beta` is not 0, elsewhere it is measured on the
    first micro-batch, for a pass over all completions would cost a fifth of a step.
    """

    rollout_func: Rollout  # type: ignore[assignment]
    _latest: Tensor
    """Log-probabilities of the last pass: (batch, completion)."""

    def _get_per_token_logps_and_entropies(
        self,
        model: Any,
        input_ids: Tensor,
        attention_mask: Tensor,
        logits_to_keep: int,
        batch_size: int | None = None,
        compute_entropy: bool = False,
        compute_aux_loss: bool = False,
        **images: Any,
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        parts, losses = [], []
        for start in range(0, len(input_ids), batch_size or len(input_ids)):
            rows = slice(start, start + (batch_size or len(input_ids)))
            ids, mask = input_ids[rows], attention_mask[rows]
            extra = {"output_router_logits": True} if compute_aux_loss else {}
            with self.accelerator.autocast():
                output = model(
                    input_ids=ids,
                    attention_mask=mask,
                    logits_to_keep=logits_to_keep + 1,
                    use_cache=False,
                    **extra,
                )
            choices = []
            for row, seen in zip(ids, mask.bool(), strict=True):
                kept = self.rollout_func.choices(row[seen].tolist())
                choices += [*kept, *[()] * (logits_to_keep - len(kept))]
            logps, entropies = log_probabilities(
                output.logits[:, :-1].flatten(0, 1),
                ids[:, -logits_to_keep:].flatten(),
                choices,
                self.temperature,
            )
            parts.append((logps.view(len(ids), -1), entropies.view(len(ids), -1)))
            losses += [output.aux_loss] if compute_aux_loss else []
        logps, entropies = (torch.cat(each) for each in zip(*parts, strict=True))
        self._latest = logps.detach()
        aux_loss = torch.stack(losses).mean() if losses else None
        return logps, entropies if compute_entropy else None, aux_loss

    def _compute_loss(self, model: Any, inputs: dict[str, Any]) -> Tensor:
        first = self._step % self.args.gradient_accumulation_steps == 0
        if self.beta != 0.0 or not first:
            loss: Tensor = super()._compute_loss(model, inputs)  # type: ignore[no-untyped-call]
            return loss
        aligned = self._aligned_log_probabilities(inputs)
        loss = super()._compute_loss(model, inputs)  # type: ignore[no-untyped-call]
        mask = inputs["completion_mask"] * inputs["tool_mask"]
        gap = aligned - self._latest
        # The estimator that TRL logs, http://joschu.net/blog/kl-approx.html: never negative.
        kl = ((gap.exp() - gap - 1) * mask).sum() / mask.sum().clamp(min=1)
        self._metrics["train"]["kl"].append(self.accelerator.gather(kl).mean().item())
        return loss

    def _aligned_log_probabilities(self, inputs: dict[str, Any]) -> Tensor:
        unwrapped = self.accelerator.unwrap_model(self.model)
        with torch.no_grad(), use_adapter(unwrapped, ALIGNED):
            logps, _, _ = self._get_per_token_logps_and_entropies(
                self.model,
                torch.cat([inputs["prompt_ids"], inputs["completion_ids"]], dim=1),
                torch.cat([inputs["prompt_mask"], inputs["completion_mask"]], dim=1),
                inputs["completion_ids"].size(1),
            )
        return logps

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        """With a second adapter in a folder of its own, `transformers` skips the trained one."""
        super()._load_from_checkpoint(resume_from_checkpoint, model)
        trained: Any = model or self.model
        trained.load_adapter(resume_from_checkpoint, "default", is_trainable=True)
