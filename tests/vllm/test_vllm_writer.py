"""The vLLM writer against the contract of reason writers and against the `transformers` writer."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from curec_assets.explanation.facts import Facts, HistoryItem
from curec_assets.explanation.prompts import parse_reason, reason_prompt
from resources.compute.accelerator import Accelerator
from resources.errors import EngineError
from resources.generation.protocol import GeneratorOptions, Prompt, Sampling
from resources.generation.transformers.generator import TransformersFactory
from resources.generation.vllm.engine import installed
from resources.generation.vllm.generator import VllmFactory, VllmGenerator
from resources.models.checkpoint import BaseCheckpoint

if not installed():
    pytest.skip("vLLM is not installed: `make test-vllm` runs these", allow_module_level=True)

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.timeout(1200),
    pytest.mark.filterwarnings("default"),  # vLLM's own, in an environment of other versions
]

OPTIONS = GeneratorOptions(batch_size=16, max_prompt_tokens=400, max_new_tokens=96)
LIKED = tuple(
    HistoryItem(title, shared)
    for title, shared in [
        ("Stargate", ("action",)),
        ("True Lies", ("action", "romance")),
        ("An American Werewolf in London", ("horror",)),
        ("Amélie", ("romance", "Jean-Pierre Jeunet")),
    ]
)
DISLIKED = (HistoryItem("Twister", ("action",)),)
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
    Facts(title, attributes, LIKED[:count], DISLIKED[: count % 2])
    for title, attributes in CANDIDATES
    for count in (1, 2, 4)
]
PROMPTS = [reason_prompt(facts, seed=100 + number) for number, facts in enumerate(FACTS)]


@pytest.fixture(scope="module")
def writer(smollm2: Path, adapter: Path) -> Iterator[VllmGenerator]:
    with VllmFactory(accelerator=Accelerator()).open(
        BaseCheckpoint(smollm2), adapter, OPTIONS
    ) as opened:
        assert isinstance(opened, VllmGenerator)
        yield opened


def test_greedy_reasons_are_those_of_transformers(
    writer: VllmGenerator, smollm2: Path, adapter: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Tolerance: nine of ten texts the same; rounding may turn a choice between near equals."""
    sampling = Sampling(72)
    ours = writer.write(PROMPTS, sampling)
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
        assert (a.text, a.free, a.finished) == (b.text, b.free, b.finished)
        assert a.verdict_probability == pytest.approx(b.verdict_probability, abs=1e-4)


def test_the_adapter_is_applied(writer: VllmGenerator, smollm2: Path) -> None:
    """And not merged: the same engine without it writes what the base model writes."""
    from transformers import AutoTokenizer

    bare = VllmGenerator(writer.llm, AutoTokenizer.from_pretrained(smollm2), 400)
    chats = [Prompt(prompt.messages) for prompt in PROMPTS[:6]]
    without = [c.text for c in bare.write(chats, Sampling(24))]
    assert without != [c.text for c in writer.write(chats, Sampling(24))]
    with TransformersFactory(accelerator=Accelerator()).open(
        BaseCheckpoint(smollm2), None, OPTIONS
    ) as plain:
        assert without == [c.text for c in plain.write(chats, Sampling(24))]


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_the_evidence_obeys_the_grammar_and_the_rest_is_free(
    writer: VllmGenerator, temperature: float
) -> None:
    written = writer.write(PROMPTS, Sampling(90, temperature))
    for facts, completion in zip(FACTS, written, strict=True):
        parsed = parse_reason(completion.text)
        assert parsed is not None, completion.text
        assert set(parsed.liked) <= {item.title for item in facts.liked}
        assert set(parsed.disliked) <= {item.title for item in facts.disliked}
        assert set(parsed.shared) <= set(facts.attributes)
        governed = [not free for free in completion.free]
        assert governed == sorted(governed, reverse=True), "governed tokens come first"
        assert any(governed)
        assert completion.verdict_probability is not None
        if temperature == 0.0:
            assert (completion.verdict_probability >= 0.5) == (parsed.verdict == "like")


def test_a_completion_cut_within_its_grammar_is_all_governed(writer: VllmGenerator) -> None:
    for limit in (3, 9):
        completion = writer.write(PROMPTS[:1], Sampling(limit))[0]
        assert not any(completion.free)
        assert (len(completion.token_ids), completion.finished) == (limit, False)


def test_without_a_grammar_every_token_is_free(writer: VllmGenerator) -> None:
    completion = writer.write([Prompt(PROMPTS[0].messages)], Sampling(8))[0]
    assert all(completion.free)
    assert completion.verdict_probability is None


def test_samples_follow_their_seeds(writer: VllmGenerator) -> None:
    """In one request; sample k of seed s is sample 0 of seed s + k, in any company."""
    first = Prompt(PROMPTS[0].messages, PROMPTS[0].grammar, 40)
    third = Prompt(PROMPTS[0].messages, PROMPTS[0].grammar, 42)
    several = writer.write([first, *PROMPTS[1:5]], Sampling(40, 1.0, samples=4))
    alone = writer.write([third], Sampling(40, 1.0))[0]
    assert len(several) == 20
    assert len({c.text for c in several[:4]}) > 1
    assert several[2].token_ids == alone.token_ids
    for prompt, start in zip([first, *PROMPTS[1:5]], range(0, 20, 4), strict=True):
        ids = {c.prompt_ids for c in several[start : start + 4]}
        assert [len(tokens) for tokens in ids] == [writer.prompt_tokens(prompt)]


def test_greedy_samples_are_the_same_text(writer: VllmGenerator) -> None:
    written = writer.write(PROMPTS[:2], Sampling(12, samples=3))
    assert [c.text for c in written] == [c.text for i in (0, 3) for c in [written[i]] * 3]


def test_a_completion_ends_before_a_stop_text(writer: VllmGenerator) -> None:
    whole = writer.write(PROMPTS[:4], Sampling(80))
    stopped = writer.write(PROMPTS[:4], Sampling(80, stop=("; disliked",)))
    for a, b in zip(whole, stopped, strict=True):
        assert b.text == a.text.partition("; disliked")[0]
        assert b.token_ids == a.token_ids[: len(b.token_ids)]
        assert b.finished


def test_a_shared_beginning_is_found_in_the_prefix_cache(writer: VllmGenerator) -> None:
    user = " | ".join(f"Some Film of the Year {year}" for year in range(1960, 1980))
    chats = [(("user", f"Liked: {user}\nItem: {title}"),) for title, _ in CANDIDATES]
    hits, asked = writer.prefix_cache()
    writer.write([Prompt(chat) for chat in chats], Sampling(1))
    new_hits, new_asked = writer.prefix_cache()
    shared = writer.prompt_tokens(Prompt((("user", f"Liked: {user}"),))) // 32 * 32 - 32
    assert new_asked - asked >= len(chats) * shared
    assert new_hits - hits >= (len(chats) - 1) * shared > 0


def test_nothing_to_write(writer: VllmGenerator) -> None:
    assert writer.write([], Sampling(8)) == []


def test_what_does_not_fit_is_refused(writer: VllmGenerator) -> None:
    with pytest.raises(EngineError, match="max_prompt_tokens = 400"):
        writer.write([Prompt((("user", "word " * 500),))], Sampling(8))
    with pytest.raises(EngineError, match=r"longer than the 496.*max_new_tokens"):
        writer.write(PROMPTS[:1], Sampling(480))


def test_a_grammar_that_is_none_is_refused_and_the_engine_goes_on(
    writer: VllmGenerator,
) -> None:
    with pytest.raises(EngineError, match="vLLM refused"):
        writer.write([Prompt(PROMPTS[0].messages, "root ::= ((")], Sampling(8))
    assert writer.write(PROMPTS[:1], Sampling(4))[0].token_ids


def test_the_environment_is_as_before(writer: VllmGenerator) -> None:
    assert writer.engine.startswith("vllm 0.")
    assert not [name for name in os.environ if name.startswith(("VLLM_", "LD_PRELOAD"))]
