"""The generator against plain `transformers` `generate`: same prompts, same greedy tokens.

Two sets of prompts, each one batch of 32 (the plain side's batch size): candidates of one user, and
one event of each of 32 users, who share nothing but the instruction. The chain of thought is under
its grammar, what follows it is free. Also where the time goes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl
import torch

from benchmarks import harness, plain, tables
from benchmarks.home import Home
from curec_assets.evidence.crossfit import load_final
from curec_assets.evidence.numbers import EvidenceNumbers
from curec_assets.explanation.facts import Catalogue
from curec_assets.explanation.prompts import reason_prompt
from curec_assets.reasons.judged import requests_for
from curec_assets.recommender.shown_reasons import judged_now, notes_now, users_to_serve
from resources.compute.accelerator import Accelerator
from resources.generation.chat_tokens import chat_tokens
from resources.generation.protocol import GeneratorOptions, Prompt, Sampling, TextGenerator
from resources.generation.transformers.generator import (
    TransformersFactory,
)

COMMAND = "make bench-speed-writer"
_PROMPTS = 32
_KINDS = {
    "linear layers": {
        "mkldnn::_linear_pointwise", "mkldnn::_linear_pointwise_", "aten::mkldnn_linear",
        "aten::mm", "aten::addmm", "aten::linear",
    },
    "attention": {
        "aten::bmm", "aten::baddbmm", "aten::baddbmm_", "aten::_softmax", "aten::softmax",
        "aten::_scaled_dot_product_flash_attention_for_cpu", "aten::logsumexp",
    },
    "copying and gathering": {
        "aten::copy_", "aten::index", "aten::index_select", "aten::index_put_",
        "aten::_index_put_impl_", "aten::index_copy_", "aten::cat", "aten::stack", "aten::gather",
        "aten::clone", "aten::contiguous",
    },
}  # fmt: skip
_OTHER_OPERATORS = "other operators (norms, activations, rotations)"
_NO_OPERATOR = "Python, grammars and choice of tokens"


@dataclass(frozen=True)
class _Written:
    tokens: list[tuple[int, ...]]

    @property
    def count(self) -> int:
        return sum(map(len, self.tokens))


def main() -> None:
    """Measure all three, print, and keep the records."""
    options = harness.parser(__doc__).parse_args()
    Accelerator().resolve()
    home = Home.open(options.home)
    records: list[harness.Record] = []
    with TransformersFactory(accelerator=Accelerator()).open(
        home.base, home.adapter("reason_policy"), GeneratorOptions(_PROMPTS, 2048, 96)
    ) as generator:
        reference = _PlainSide(home)
        for name, prompts, target in (
            (f"{_PROMPTS} candidates of one user", candidates(home), ">= 3"),
            (f"one event of each of {_PROMPTS} users", events(home), None),
        ):
            print(f"{name}:", flush=True)
            records += _compare(name, prompts, generator, reference, home, options.count, target)
            if target:
                records += time_by_kind(name, generator, prompts, home)
            tables.publish(records, options.figures)


class _PlainSide:
    """The same weights under `transformers`' own attention and `generate`."""

    def __init__(self, home: Home) -> None:
        from peft import PeftModel
        from transformers import AutoModelForCausalLM, AutoTokenizer

        from resources.generation.grammar_compiler import GrammarCompiler

        self.tokenizer = AutoTokenizer.from_pretrained(home.base.path)
        model: Any = AutoModelForCausalLM.from_pretrained(home.base.path, dtype=torch.float32)
        model = PeftModel.from_pretrained(model, home.adapter("reason_policy"))
        self.model = model.merge_and_unload().eval()
        self.compiler = GrammarCompiler(self.tokenizer, self.model.config.vocab_size)

    def write(self, prompts: Sequence[Prompt], max_new_tokens: int) -> _Written:
        return _Written(
            plain.generate(
                self.model,
                self.tokenizer,
                self.compiler,
                [chat_tokens(self.tokenizer, prompt) for prompt in prompts],
                [prompt.grammar for prompt in prompts],
                max_new_tokens,
            )
        )


def _compare(
    name: str,
    prompts: Sequence[Prompt],
    generator: Any,
    reference: _PlainSide,
    home: Home,
    count: int,
    target: str | None,
) -> list[harness.Record]:
    limit = home.profile.language_model.max_new_tokens

    def ours() -> _Written:
        return _Written([done.token_ids for done in generator.write(prompts, Sampling(limit))])

    compared = harness.pairs(ours, lambda: reference.write(prompts, limit), count)
    mine, theirs = compared.a[0].result.tokens, compared.b[0].result.tokens
    same = sum(a == b for a, b in zip(mine, theirs, strict=True)) / len(mine)
    lengths = [len(chat_tokens(reference.tokenizer, prompt)) for prompt in prompts]

    def rate(run: harness.Run[_Written]) -> float:
        return run.result.count / run.seconds

    record = harness.Record.of
    return [
        record(f"{name}: against plain generate", compared.ratio(rate), "times", COMMAND, target),
        record(f"{name}: CURec", compared.of_a(rate), "tokens/s", COMMAND),
        record(f"{name}: plain generate", compared.of_b(rate), "tokens/s", COMMAND),
        record(f"{name}: identical completions", same, "share", COMMAND, ">= 0.95"),
        record(f"{name}: mean prompt", sum(lengths) / len(lengths), "tokens", COMMAND),
        record(
            f"{name}: mean completion", compared.a[0].result.count / len(mine), "tokens", COMMAND
        ),
    ]


def candidates(home: Home, users: int = 1) -> list[Prompt]:
    """32 prompts, as many for each of `users`, as `recommendations` asks them."""
    profile, warehouse = home.profile, home.warehouse
    interactions, items = warehouse.read("interactions"), warehouse.read("items")
    served = users_to_serve(interactions, users)
    popular = interactions.group_by("item_id").len().sort("len", "item_id", descending=True)
    shown = pl.DataFrame(
        [
            {"user_id": user, "item_id": item}
            for user in served
            for item in popular.join(
                interactions.filter(pl.col("user_id") == user), on="item_id", how="anti"
            ).head(_PROMPTS // users)["item_id"]
        ]
    )
    numbers = EvidenceNumbers(
        interactions, items, warehouse.read("item_embeddings"), profile.evidence, profile.seed
    )
    model = load_final(home.current("evidence_model").path)
    catalogue = Catalogue(items)
    notes = notes_now(
        served, interactions, warehouse.read("recommendation_reasons"), catalogue, profile
    )
    requests = requests_for(
        shown,
        judged_now(shown, interactions, numbers, model, profile.evidence),
        [notes[user] for user in shown["user_id"]],
        catalogue,
        profile,
    )
    return [reason_prompt(request.facts) for request in requests]


def events(home: Home) -> list[Prompt]:
    """Prompts about the first stored reason of each of many users, as the walk asks them."""
    from curec_assets.explanation.facts import facts_by_event

    reasons = home.warehouse.read("recommendation_reasons").sort("user_id", "timestamp")
    first = reasons.unique("user_id", keep="first", maintain_order=True).head(_PROMPTS)
    facts = facts_by_event(
        first,
        home.warehouse.read("event_evidence"),
        Catalogue(home.warehouse.read("items")),
        home.profile.explanation,
    )
    return [
        reason_prompt(facts[row["event_id"]].with_note(row["note"]))
        for row in first.iter_rows(named=True)
    ]


def time_by_kind(
    name: str, generator: TextGenerator, prompts: Sequence[Prompt], home: Home
) -> list[harness.Record]:
    """Shares of one call by kind of work, by PyTorch's profiler (which itself takes time)."""
    limit = home.profile.language_model.max_new_tokens
    whole = "generator.write"
    with torch.profiler.profile() as profiled, torch.profiler.record_function(whole):
        generator.write(prompts, Sampling(limit))
    times = dict.fromkeys([*_KINDS, _OTHER_OPERATORS, _NO_OPERATOR], 0.0)
    for row in profiled.key_averages():
        kind = next(
            (kind for kind, operators in _KINDS.items() if row.key in operators), _OTHER_OPERATORS
        )
        times[_NO_OPERATOR if row.key == whole else kind] += row.self_cpu_time_total
    total = sum(times.values())
    return [
        harness.Record.of(f"{name}: time of {kind}", taken / total, "share", COMMAND)
        for kind, taken in times.items()
    ]


if __name__ == "__main__":
    main()
