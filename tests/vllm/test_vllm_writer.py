"""The vLLM engine against the contract of generators and against the `transformers` engine."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from curec_assets.explanation.facts import Fact, Facts
from curec_assets.explanation.prompts import reason_prompt
from resources.compute.accelerator import Accelerator
from resources.errors import EngineError
from resources.generation.grammar_compiler import GrammarCompiler
from resources.generation.protocol import GeneratorOptions, Prompt, Sampling
from resources.generation.transformers.generator import TransformersFactory
from resources.generation.vllm.engine import installed
from resources.generation.vllm.generator import VllmFactory, VllmGenerator
from resources.models.checkpoint import BaseCheckpoint
from tests.support.generation_contract import GenerationContract

if not installed():
    pytest.skip("vLLM is not installed: `make test-vllm` runs these", allow_module_level=True)

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.timeout(1200),
    pytest.mark.filterwarnings("default"),  # vLLM's own, in an environment of other versions
]

OPTIONS = GeneratorOptions(batch_size=16, max_prompt_tokens=400, max_new_tokens=96)
FOR = tuple(
    Fact("related", strength, title, True)
    for title, strength in [
        ("Stargate", 3),
        ("True Lies", 2),
        ("An American Werewolf in London", 2),
        ("Amélie", 1),
    ]
)
AGAINST = (Fact("crowd", -2), Fact("related", -1, "Twister", False))
CANDIDATES = [
    ("Days of Thunder", ("action", "romance")),
    ("The Fly", ("horror", "romance")),
    ("Heat", ("action",)),
    ("Delicatessen", ("Jean-Pierre Jeunet",)),
    ("Alien", ("horror", "action")),
    ("Notting Hill", ("romance",)),
    ("Speed", ("action", "romance")),
    ("Casablanca", ("romance",)),
]
FACTS = [
    Facts(title, attributes, (*FOR[:count], *AGAINST[: count % 3]))
    for title, attributes in CANDIDATES
    for count in (1, 2, 4)
]
PROMPTS = [reason_prompt(facts, seed=100 + number) for number, facts in enumerate(FACTS)]


@pytest.fixture(scope="module")
def engine_generator(smollm2: Path, adapter: Path) -> Iterator[VllmGenerator]:
    with VllmFactory(accelerator=Accelerator()).open(
        BaseCheckpoint(smollm2), adapter, OPTIONS
    ) as opened:
        assert isinstance(opened, VllmGenerator)
        yield opened


@pytest.fixture(scope="module")
def generator(engine_generator: VllmGenerator) -> VllmGenerator:
    return engine_generator


class TestVllm(GenerationContract):
    """Each law of the contract."""


def test_greedy_reasons_are_those_of_transformers(
    engine_generator: VllmGenerator,
    smollm2: Path,
    adapter: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Tolerance: nine of ten texts the same; rounding may turn a choice between near equals."""
    sampling = Sampling(72)
    ours = engine_generator.write(PROMPTS, sampling)
    with TransformersFactory(accelerator=Accelerator()).open(
        BaseCheckpoint(smollm2), adapter, OPTIONS
    ) as plain:
        theirs = plain.write(PROMPTS, sampling)
    assert [c.prompt_ids for c in ours] == [c.prompt_ids for c in theirs]
    same = [(a, b) for a, b in zip(ours, theirs, strict=True) if a.token_ids == b.token_ids]
    with capsys.disabled():
        print(f"\nsame greedy tokens: {len(same)} of {len(PROMPTS)}")
    assert len(same) >= 0.9 * len(PROMPTS)
    for a, b in same:
        assert (a.text, a.constrained, a.finished) == (b.text, b.constrained, b.finished)
        assert a.scale == pytest.approx(b.scale, abs=1e-4)


def test_what_it_was_sampled_among_is_what_transformers_allows(
    engine_generator: VllmGenerator, smollm2: Path
) -> None:
    """But at the end of the chain, where vLLM's free tail allows more line breaks in one token."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(smollm2)
    grammars = GrammarCompiler(tokenizer, len(tokenizer))
    ours = engine_generator.write(PROMPTS[:8], Sampling(72, 1.0, keep_allowed=True))
    for prompt, completion in zip(PROMPTS, ours, strict=False):
        assert completion.logprobs is not None
        last = sum(completion.constrained) - 1
        allowed = grammars.allowed(prompt.grammar, completion.token_ids)
        assert completion.allowed[:last] == allowed[:last]


def test_the_adapter_is_applied(engine_generator: VllmGenerator, smollm2: Path) -> None:
    """And not merged: the same engine without it writes what the base model writes."""
    from transformers import AutoTokenizer

    bare = VllmGenerator(engine_generator.llm, AutoTokenizer.from_pretrained(smollm2), 400)
    chats = [Prompt(prompt.messages) for prompt in PROMPTS[:6]]
    without = [c.text for c in bare.write(chats, Sampling(24))]
    assert without != [c.text for c in engine_generator.write(chats, Sampling(24))]
    with TransformersFactory(accelerator=Accelerator()).open(
        BaseCheckpoint(smollm2), None, OPTIONS
    ) as plain:
        assert without == [c.text for c in plain.write(chats, Sampling(24))]


def test_a_shared_beginning_is_found_in_the_prefix_cache(engine_generator: VllmGenerator) -> None:
    user = " | ".join(f"Some Film of the Year {year}" for year in range(1960, 1980))
    chats = [(("user", f"Liked: {user}\nItem: {title}"),) for title, _ in CANDIDATES]
    hits, asked = engine_generator.prefix_cache()
    engine_generator.write([Prompt(chat) for chat in chats], Sampling(1))
    new_hits, new_asked = engine_generator.prefix_cache()
    shared = engine_generator.prompt_tokens(Prompt((("user", f"Liked: {user}"),))) // 32 * 32 - 32
    assert new_asked - asked >= len(chats) * shared
    assert new_hits - hits >= (len(chats) - 1) * shared > 0


def test_more_than_the_engine_was_opened_for_is_refused(engine_generator: VllmGenerator) -> None:
    with pytest.raises(EngineError, match=r"longer than the 496.*max_new_tokens"):
        engine_generator.write(PROMPTS[:1], Sampling(480))


def test_the_environment_is_as_before(engine_generator: VllmGenerator) -> None:
    assert engine_generator.engine.startswith("vllm 0.")
    assert not [name for name in os.environ if name.startswith(("VLLM_", "LD_PRELOAD"))]
