"""Fine-tuning: ours against plain TRL `SFTTrainer` with the same model, LoRA, examples and batch.

`make bench-speed-sft`. Two trainers alternate in one process; loading is not timed. First ours and
plain, then ours against ours with one thing otherwise. One run is one pass over the same examples;
tokens are those of prompt and completion, without padding.
"""

import tempfile
import time
import warnings
from collections.abc import Mapping
from contextlib import nullcontext
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType
from typing import Any

import datasets
import polars as pl
import transformers

from benchmarks.harness import Pairs, Record, Run, pairs, parser
from benchmarks.home import Home
from benchmarks.tables import publish
from curec_assets.alignment.sft import sft_trainer
from curec_assets.alignment.training import completion_logits_only
from resources.compute.accelerator import Accelerator

COMMAND = "make bench-speed-sft"
_GAINS: dict[str, dict[str, Any]] = {
    "ours / with adapters on every layer": {"settings": {"lora_first_layer": 0}},
    "ours / with several examples packed in a row": {"packing": True},
}


def main() -> None:
    """Measure and publish."""
    options = parser(__doc__)
    options.add_argument("--examples", type=int, default=8, help="examples of one run")
    chosen = options.parse_args()
    warnings.filterwarnings("ignore")
    datasets.disable_progress_bars()
    transformers.utils.logging.disable_progress_bar()
    home = Home.open(chosen.home)
    corpus = home.warehouse.read("alignment_corpus").head(chosen.examples)
    with tempfile.TemporaryDirectory() as folder:

        def side(name: str, **changes: Any) -> Side:
            return Side(home, corpus, Path(folder) / name, **changes)

        ours = side("ours")
        records = equality(ours)
        plain = side("plain", completion_only=False, plain=True)
        records = [*_speed(pairs(ours.run, plain.run, chosen.count)), *records]
        del plain  # one other model in memory at a time
        for number, (gain, changes) in enumerate(_GAINS.items()):
            other = side(str(number), **changes)
            compared = pairs(ours.run, other.run, chosen.count)
            records.append(Record.of(gain, compared.ratio(_rate), "times", COMMAND))
            if changes.get("packing"):
                records.append(packing_isolation(other))
            del other
        whole = Side(home, home.warehouse.read("alignment_corpus"), Path(folder) / "whole")
        records.append(padding(whole))
    publish(records, chosen.figures)


class Side:
    """A trainer that passes over the corpus when it is called."""

    def __init__(
        self,
        home: Home,
        corpus: pl.DataFrame,
        workspace: Path,
        *,
        completion_only: bool = True,
        settings: Mapping[str, Any] = MappingProxyType({}),
        **changes: Any,
    ) -> None:
        """`completion_only`: no logits of prompts, as in `fine_tune`. `settings`: of the section
        `alignment`, otherwise than in the profile. `changes`: further ones of `sft_trainer`.
        """
        self._completion_only = completion_only
        accelerator = Accelerator(device="auto", dtype="auto", threads=0).resolve()
        self.trainer = sft_trainer(
            corpus,
            home.base,
            home.profile.alignment.model_copy(update=settings),
            seed=home.profile.seed,
            accelerator=accelerator,
            workspace=workspace,
            save_strategy="no",
            **changes,
        )
        self.tokens = sum(map(len, self.trainer.train_dataset["input_ids"]))

    def context(self) -> Any:
        """Logits of the completion only, where this side is ours."""
        return completion_logits_only() if self._completion_only else nullcontext()

    def run(self) -> float:
        """One pass over the corpus; tokens per second."""
        started = time.perf_counter()
        with self.context():
            self.trainer.train()
        return self.tokens / (time.perf_counter() - started)


def equality(side: Side) -> list[Record]:
    """The first batch's loss and gradient, with all logits and with those of completions only."""
    import torch

    model = side.trainer.model
    batch = side.trainer._prepare_inputs(next(iter(side.trainer.get_train_dataloader())))
    results = []
    for context in (nullcontext(), completion_logits_only()):
        model.zero_grad()
        model.eval()
        with context:
            loss = side.trainer.compute_loss(model, dict(batch))
        loss.backward()
        gradient = torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])
        results.append((float(loss.detach()), gradient))
    model.zero_grad()
    (first, gradient), (second, other) = results
    difference = float((gradient - other).norm() / gradient.norm())
    return [
        Record.of(
            "loss with and without logits of prompt tokens, difference",
            abs(first - second),
            "",
            COMMAND,
            "<= 0.00001",
        ),
        Record.of("the same of the gradient, relative", difference, "", COMMAND, "<= 0.0001"),
    ]


def packing_isolation(side: Side) -> Record:
    """Largest difference of a logit between an example in a packed row and the same alone."""
    import torch

    model = side.trainer.model.eval()
    batch = side.trainer._prepare_inputs(next(iter(side.trainer.get_train_dataloader())))
    ids, positions = batch["input_ids"], batch["position_ids"]
    starts = [*(positions[0] == 0).nonzero().flatten().tolist(), ids.shape[1]]
    worst = 0.0
    with torch.inference_mode():
        packed = model(input_ids=ids, position_ids=positions).logits[0]
        for begin, end in pairwise(starts):
            alone = model(input_ids=ids[:, begin:end]).logits[0]
            worst = max(worst, float((packed[begin:end] - alone).abs().max()))
    return Record.of(
        "packed row against the same examples alone, largest difference of a logit",
        worst,
        "",
        COMMAND,
        "<= 0.001",
    )


def padding(side: Side) -> Record:
    """Padding among the tokens of an epoch: what batches of like length could save at most."""
    shares = [batch["attention_mask"] for batch in side.trainer.get_train_dataloader()]
    real, every = sum(int(mask.sum()) for mask in shares), sum(mask.numel() for mask in shares)
    return Record.of("padding in the corpus's batches", 1 - real / every, "share", COMMAND)


def _speed(compared: Pairs[float]) -> list[Record]:
    return [
        Record.of("ours", compared.of_a(_rate), "tokens/s", COMMAND),
        Record.of("plain `SFTTrainer`, same LoRA", compared.of_b(_rate), "tokens/s", COMMAND),
        Record.of("ours / plain", compared.ratio(_rate), "times", COMMAND, ">= 1.0"),
    ]


def _rate(run: Run[float]) -> float:
    return run.result


if __name__ == "__main__":
    main()
