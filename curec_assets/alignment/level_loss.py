"""Fine-tuning that knows that levels are in order, and that one token of a reason decides much.

To token cross-entropy "surely" is as far from "certain" as "never" is, and the one token of a level
is lost among the forty of a sentence. What is written and scored is the expected level
(`explanation.thinking`), so the distribution that it is the mean of is trained by the *ranked
probability score*, the sum of squared errors of the cumulative distribution: a strictly proper
score of ordered classes (Epstein, A scoring system for probability forecasts of ranked categories,
Journal of Applied Meteorology 8, 1969). That it stands beside cross-entropy is ours.
"""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

import torch
from torch.nn.functional import cross_entropy, nll_loss
from trl import SFTTrainer

from curec_assets.evidence.levels import LEVELS
from curec_assets.explanation.grammar import CHAIN_END, NOTHING
from curec_assets.explanation.levels import CHAIN_WORDS, LEVEL_SCALE
from curec_assets.explanation.prompts import parse_reason
from resources.generation.grammar_tail import tokens_reaching
from resources.generation.scale import TokenTexts

if TYPE_CHECKING:
    from torch import Tensor

DRAWN = "handles_drawn"
"""Column of the examples: whether what is cited was drawn at random, and is not to be learnt."""
_IGNORED = -100
"""Label of a token that is not to be learnt, as transformers has it."""


class LevelTrainer(SFTTrainer):
    """TRL's trainer, whose loss looks at the levels of the batch too.

    For causal models behind a PEFT adapter whose logits are those of their head: where they are
    capped or scaled after it (Gemma, Cohere), slightly other probabilities are trained.
    """

    def __init__(
        self, *arguments: Any, score_weight: float, word_weight: float, **named: Any
    ) -> None:
        """What a level adds to the loss, beside nats per token: `score_weight` times its ranked
        probability score, `word_weight` times its cross-entropy; both among the nine words alone,
        or the model would learn to judge before it has cited.

        Raises `ValueError` where the examples were packed.
        """
        super().__init__(*arguments, **named)
        self._score_weight, self._word_weight = score_weight, word_weight
        self._tokenizer: Any = self.processing_class
        self._scale = TokenTexts(self._tokenizer).scale(LEVEL_SCALE)
        self._ignore_drawn_handles()

    def compute_loss(
        self,
        model: Any,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Any = None,
    ) -> Any:
        """TRL's loss, plus that of the levels.

        Logged as `level_error`: the mean squared error of the expected level.
        """
        places = list(self.places(inputs["labels"].tolist()))
        causal = self.accelerator.unwrap_model(model).get_base_model()
        states: list[Tensor] = []
        hook = causal.base_model.register_forward_hook(
            lambda _module, _arguments, outputs: states.append(outputs.last_hidden_state)
        )
        try:
            trl_loss: Any = super().compute_loss  # untyped
            found = trl_loss(model, inputs, return_outputs, num_items_in_batch)
        finally:
            hook.remove()
        if not places:
            return found
        loss, *outputs = found if return_outputs else (found,)
        rows, tokens, levels = zip(*places, strict=True)
        before = [token - 1 for token in tokens]  # the state that decides a token is the one before
        logits = causal.get_output_embeddings()(states[0][list(rows), before]).float()
        words = [logits[:, sorted(starts)].logsumexp(dim=1) for starts in self._scale.words]
        shares = torch.stack(words, dim=1).log_softmax(dim=1)
        right = torch.tensor(levels, device=shares.device)
        error, score = _errors(shares.exp(), right)
        nats = nll_loss(shares, right - 1)
        learnt = inputs["labels"][list(rows), list(tokens)]
        drawn = inputs["labels"][list(rows), before] == _IGNORED
        # Where to stop citing is not to be learnt from handles that were drawn: TRL's part of the
        # words that follow them is taken back.
        items = num_items_in_batch or (inputs["labels"][:, 1:] != _IGNORED).sum()
        loss = loss - cross_entropy(logits[drawn], learnt[drawn], reduction="sum") / items
        self._metrics["train" if model.training else "eval"]["level_error"].append(
            float(error.detach())
        )
        # As TRL has it for other terms: its own loss is of all tokens that a step accumulates.
        steps = 1 if num_items_in_batch is None else self.current_gradient_accumulation_steps
        loss = loss + (self._score_weight * score + self._word_weight * nats) / steps
        return (loss, *outputs) if return_outputs else loss

    def places(self, labels: Sequence[Sequence[int]]) -> Iterator[tuple[int, int, int]]:
        """Row, position and value of each level in `labels`: of the token that decides it.

        A row may hold several examples: completions are runs of labels that are not ignored.
        """
        for row, tokens in enumerate(labels):
            runs = groupby(enumerate(tokens), key=lambda place: place[1] != _IGNORED)
            for learnt, run in runs:
                completion = list(run)
                found = self._level([token for _, token in completion]) if learnt else None
                if found:
                    position, level = found
                    yield row, completion[position][0], level

    def _level(self, completion: Sequence[int]) -> tuple[int, int] | None:
        """Position and value of a completion's level, where it has one.

        It may begin with it: handles that were drawn are not learnt.
        """
        text = self._tokenizer.decode(completion, skip_special_tokens=True)
        thought = text.partition(CHAIN_END)[0]
        alone = thought.strip() in CHAIN_WORDS
        whole = f"{NOTHING} {thought.strip()}" if alone else thought
        parsed = parse_reason(f"{whole}{CHAIN_END}")
        if parsed is None:  # a note
            return None
        word = max(0, len(thought) - len(LEVEL_SCALE[parsed.level - 1]))
        begin = tokens_reaching(self._tokenizer, tuple(completion), word)
        position = self._scale.position(completion, begin)
        return None if position is None else (position, parsed.level)

    def _ignore_drawn_handles(self) -> None:
        examples: Any = self.train_dataset
        if DRAWN not in examples.column_names:
            raise ValueError(
                f"the examples have lost their column {DRAWN!r}, as TRL's packing does, so handles "
                "that were drawn would be learnt: set packing=False"
            )
        labels = [
            self._from_level(each) if drawn else each
            for each, drawn in zip(examples["labels"], examples[DRAWN], strict=True)
        ]
        self.train_dataset = examples.remove_columns("labels").add_column("labels", labels)

    def _from_level(self, labels: Sequence[int]) -> list[int]:
        """The labels of an example whose handles are ignored."""
        completion = [place for place, token in enumerate(labels) if token != _IGNORED]
        found = self._level([labels[place] for place in completion])
        given = completion[: found[0]] if found else ()
        return [_IGNORED if place in given else token for place, token in enumerate(labels)]


def _errors(probabilities: "Tensor", levels: "Tensor") -> tuple["Tensor", "Tensor"]:
    """Mean squared error of the expected level, and mean ranked probability score.

    `probabilities`: of the nine levels, a row for each of `levels`.
    """
    scale = torch.arange(1, LEVELS + 1, device=levels.device)
    expected = probabilities @ scale.to(probabilities.dtype)
    reached = (scale >= levels[:, None]).to(probabilities.dtype)
    score = (probabilities.cumsum(dim=1) - reached).square().sum(dim=1)
    return (expected - levels).square().mean(), score.mean()
