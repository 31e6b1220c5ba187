"""What each measure of packed generation gains: the generator as it is against itself without one.

`make bench-speed-levers`. The prompts are those of the first workload of the benchmark
`generator`, and all variants write the same greedy tokens but for rounding.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from unittest.mock import patch

import torch

from benchmarks import harness, tables
from benchmarks.home import Home
from benchmarks.writer import candidates
from resources.compute.accelerator import Accelerator
from resources.generation.protocol import GeneratorOptions, NumberFormat, Prompt, Sampling
from resources.generation.transformers.constrained_decoding import Constraint
from resources.generation.transformers.generator import (
    TransformersFactory,
    TransformersGenerator,
)
from resources.generation.transformers.prefixes import PrefixPlan

COMMAND = "make bench-speed-levers"


def main() -> None:
    """Measure, print, and keep the records."""
    options = harness.parser(__doc__).parse_args()
    Accelerator().resolve()
    home = Home.open(options.home)
    prompts = candidates(home)
    sampling = Sampling(home.profile.language_model.max_new_tokens)
    records: list[harness.Record] = []

    def compare(what: str, ours: TransformersGenerator, other: Callable[[], int]) -> None:
        compared = harness.pairs(lambda: _write(ours, prompts, sampling), other, options.count)
        speed = compared.ratio(lambda run: run.result / run.seconds)
        records.append(harness.Record.of(f"as it is / {what}", speed, "times", COMMAND))
        tables.publish(records, options.figures)

    with _opened(home) as generator:
        for what, without in _LEVERS.items():

            def other(without: Callable[[], AbstractContextManager[object]] = without) -> int:
                with without():
                    return _write(generator, prompts, sampling)

            compare(what, generator, other)
        not_packed = patch(
            "resources.generation.transformers.packed_linear.can_pack", return_value=False
        )
        with not_packed, _opened(home) as other_layout:
            compare(
                "without oneDNN's layout of the weights",
                generator,
                lambda: _write(other_layout, prompts, sampling),
            )
        if torch.cpu.get_capabilities().get("amx_bf16"):
            with _opened(home, "bfloat16") as coarse:
                compare("in bfloat16", generator, lambda: _write(coarse, prompts, sampling))


@contextmanager
def _opened(home: Home, dtype: NumberFormat = "float32") -> Iterator[TransformersGenerator]:
    with TransformersFactory(accelerator=Accelerator()).open(
        home.base, home.adapter("reason_policy"), GeneratorOptions(32, 2048, 96, dtype=dtype)
    ) as generator:
        assert isinstance(generator, TransformersGenerator)
        yield generator


def _write(generator: TransformersGenerator, prompts: Sequence[Prompt], sampling: Sampling) -> int:
    """Tokens written."""
    return sum(len(done.token_ids) for done in generator.write(prompts, sampling))


@contextmanager
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _unshared(prompts: Sequence[Sequence[int]]) -> PrefixPlan:
    return PrefixPlan(0, list(range(len(prompts))), [0] * len(prompts))


_LEVERS: dict[str, Callable[[], AbstractContextManager[object]]] = {
    "without sharing what prompts begin with": lambda: patch(
        "resources.generation.transformers.packed_generation.plan_prefixes", _unshared
    ),
    "without drafting what the grammar forces": lambda: patch.object(
        Constraint, "draft", lambda self: ()
    ),
    "on one thread": _one_thread,
}


if __name__ == "__main__":
    main()
