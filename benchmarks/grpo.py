"""A GRPO step of CURec against plain TRL: `GRPOTrainer` that generates by itself.

Three trainers of the same sizes on the same prompts, in turns: plain TRL with a constant reward,
plain TRL with CURec's composed reward, and CURec's own step (grammars, packed generation, choices
as actions, the composed reward). The step is timed from its beginning to its end, model
loading excluded. Texts differ in length, so times per completion token are given too.
"""

import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import polars as pl
import torch

from benchmarks import harness, tables
from benchmarks.home import Home
from curec_assets.alignment.training import trainer_defaults
from curec_assets.datasets.histories import histories_of
from curec_assets.definitions import default_resources
from curec_assets.explanation.facts import Catalogue, facts_by_event
from curec_assets.explanation.grounding import GroundingChecker
from curec_assets.explanation.selection import divide_policy_fold
from curec_assets.policy import grpo
from curec_assets.policy.events import policy_events
from curec_assets.policy.rewards import ComposedReward
from curec_assets.policy.rollout import dataset_prompt, event_id_of
from curec_assets.reward.scoring import RewardScorer
from resources.compute.accelerator import Accelerator

COMMAND = "make bench-speed-grpo"


@dataclass
class Step:
    """What one optimiser step took."""

    seconds: float = 0.0
    reward_seconds: float = 0.0
    tokens: int = 0
    """Of all completions."""

    @property
    def per_token(self) -> float:
        """Seconds per completion token."""
        return self.seconds / self.tokens


def main() -> None:
    """Measure, print, and keep the records."""
    parser = harness.parser(__doc__)
    parser.add_argument("--prompts", type=int, default=1, help="prompts per step, 8 samples each")
    options = parser.parse_args()
    home = Home.open(options.home, policy={"steps": 1, "prompts_per_step": options.prompts})
    with tempfile.TemporaryDirectory() as folder:
        runs = _measure(_Bench(home, Path(folder)), options.count)
    tables.publish(_records(runs), options.figures)


def _measure(bench: "_Bench", count: int) -> dict[str, list[Step]]:
    sides: dict[str, Callable[[], Step]] = {
        "plain": lambda: bench.plain(full_reward=False),
        "plain with the composed reward": lambda: bench.plain(full_reward=True),
        "CURec": bench.ours,
    }
    for side in sides.values():
        side()
    runs: dict[str, list[Step]] = {name: [] for name in sides}
    order = list(sides)
    for number in range(count):
        # Another side begins each time: what ran just before must not always be the same.
        for name in order[number % 3 :] + order[: number % 3]:
            runs[name].append(sides[name]())
            print(f"{name}: {runs[name][-1].seconds:.1f} s", flush=True)
    return runs


def _records(runs: dict[str, list[Step]]) -> list[harness.Record]:
    plain, rewarded, ours = runs.values()

    def ratio(a: list[Step], b: list[Step], measure: Callable[[Step], float]) -> harness.Spread:
        return harness.Spread.of([measure(x) / measure(y) for x, y in zip(a, b, strict=True)])

    def seconds(step: Step) -> float:
        return step.seconds

    record, of = harness.Record.of, harness.Spread.of
    return [
        record(
            "plain TRL with the composed reward against a constant one",
            ratio(rewarded, plain, seconds), "times the time", COMMAND, "<= 1.1",
        ),
        record(
            "CURec's step against plain TRL's",
            ratio(plain, ours, seconds), "times faster", COMMAND, ">= 1.5",
        ),
        record(
            "the same per completion token", ratio(plain, ours, lambda s: s.per_token),
            "times faster", COMMAND,
        ),
        record(
            "the reward's share of CURec's step",
            of([s.reward_seconds / s.seconds for s in ours]), "share", COMMAND, "<= 0.05",
        ),
        record("plain TRL's step", of([s.seconds for s in plain]), "s", COMMAND),
        record("CURec's step", of([s.seconds for s in ours]), "s", COMMAND),
        record("plain TRL's completions", of([s.tokens for s in plain]), "tokens", COMMAND),
        record("CURec's completions", of([s.tokens for s in ours]), "tokens", COMMAND),
    ]  # fmt: skip


class _Bench:
    def __init__(self, home: Home, scratch: Path) -> None:
        """`scratch`: an empty folder, for the reward's own cache of text vectors."""
        from transformers import AutoTokenizer

        self.home = home
        self._tokenizer = AutoTokenizer.from_pretrained(home.base.path)
        self.accelerator = Accelerator().resolve()
        warehouse, profile = home.warehouse, home.profile
        splits, evidence = warehouse.read("event_splits"), warehouse.read("event_evidence")
        fold = divide_policy_fold(splits, evidence, profile).reinforcement
        events = splits.filter(pl.col("event_id").is_in(list(fold))).select(
            "event_id", "user_id", "item_id", "liked"
        )
        asked = splits.join(events, on="event_id", how="semi")
        histories = histories_of(asked, splits, profile.data.max_history)
        catalogue = Catalogue(warehouse.read("items"))
        facts = facts_by_event(events, evidence, catalogue, profile.explanation)
        self.events = list(policy_events(events, evidence, histories, facts))
        (scratch / "downloads").symlink_to((home.path / "downloads").resolve())
        self._vectors = scratch / "encoder"
        encoder = default_resources("laptop", scratch)["text_encoder"]
        scorer = RewardScorer.load(home.current("reward_model"), encoder, device="cpu")
        self.reward = _TimedReward(
            scorer,
            GroundingChecker(profile.explanation.max_words),
            profile.policy,
            profile.explanation.wanted_words,
        )

    def _forget(self) -> None:
        """Every step sees its texts for the first time: no vector of theirs is kept."""
        shutil.rmtree(self._vectors, ignore_errors=True)
        self.reward.clear()

    def ours(self) -> Step:
        """One step of `grpo.optimise`."""
        step, profile = Step(), self.home.profile
        self._forget()
        with (
            tempfile.TemporaryDirectory() as folder,
            patch.object(grpo, "ProgressCallback", _stopwatch(step)),
        ):
            grpo.optimise(
                self.events,
                self.reward,
                self.home.base,
                self.home.adapter("aligned_llm"),
                profile.policy,
                profile.language_model,
                seed=profile.seed,
                accelerator=self.accelerator,
                workspace=Path(folder) / "work",
                output=Path(folder) / "out",
                free=profile.explanation.wording == "free",
            )
        step.reward_seconds = self.reward.seconds
        step.tokens = self._tokens(self.reward.texts)
        return step

    def _tokens(self, texts: Sequence[str]) -> int:
        return sum(map(len, self._tokenizer(list(texts))["input_ids"]))

    def plain(self, *, full_reward: bool) -> Step:
        """One step of a `GRPOTrainer` that generates by itself."""
        from datasets import Dataset
        from peft import PeftModel
        from transformers import AutoModelForCausalLM
        from trl import GRPOConfig, GRPOTrainer

        self._forget()
        profile = self.home.profile
        policy = profile.policy
        model = PeftModel.from_pretrained(
            AutoModelForCausalLM.from_pretrained(self.home.base.path, dtype=torch.float32),
            self.home.adapter("aligned_llm"),
            is_trainable=True,
        )
        by_id = {event.event_id: event for event in self.events}
        step = Step()

        def constant(completions: list[Any], **_: Any) -> list[float | None]:
            step.tokens += self._tokens([completion[0]["content"] for completion in completions])
            return [float(index % 2) for index in range(len(completions))]

        def composed(prompts: list[Any], completions: list[Any], **_: Any) -> list[float | None]:
            events = [by_id[event_id_of(prompt)] for prompt in prompts]
            texts = [completion[0]["content"] for completion in completions]
            step.tokens += self._tokens(texts)
            terms = self.reward.terms(events, texts, [True] * len(texts))
            return np.sum(list(terms.values()), axis=0).tolist()

        with tempfile.TemporaryDirectory() as folder:
            trainer = GRPOTrainer(
                model=model,
                processing_class=self._tokenizer,
                train_dataset=Dataset.from_list(
                    [{"prompt": dataset_prompt(event)} for event in self.events]
                ),
                reward_funcs=[composed if full_reward else constant],
                args=GRPOConfig(
                    **{**trainer_defaults(Path(folder), profile.seed, self.accelerator),
                       "save_strategy": "no"},
                    max_steps=1,
                    per_device_train_batch_size=policy.generations,
                    gradient_accumulation_steps=policy.prompts_per_step,
                    num_generations=policy.generations,
                    max_completion_length=profile.language_model.max_new_tokens,
                    learning_rate=policy.learning_rate,
                    beta=policy.beta,
                    shuffle_dataset=False,
                ),
                callbacks=[_stopwatch(step)(None, "")],
            )  # fmt: skip
            trainer.train()
        return step


class _TimedReward(ComposedReward):
    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.clear()

    def clear(self) -> None:
        self.seconds = 0.0
        self.texts: list[str] = []

    def terms(self, events: Any, completions: Sequence[str], finished: Any) -> Any:
        self.texts += completions
        started = time.perf_counter()
        try:
            return super().terms(events, completions, finished)
        finally:
            self.seconds += time.perf_counter() - started


def _stopwatch(step: Step) -> Any:
    """A callback class, of `ProgressCallback`'s constructor, that times the step."""
    from transformers import TrainerCallback

    class Stopwatch(TrainerCallback):
        def __init__(self, log: Any, what: str) -> None:
            self._started = 0.0

        def on_step_begin(self, *_: Any, **__: Any) -> None:
            self._started = time.perf_counter()

        def on_step_end(self, *_: Any, **__: Any) -> None:
            step.seconds = time.perf_counter() - self._started

    return Stopwatch


if __name__ == "__main__":
    main()
