"""The server engine and the teacher on vLLM's own server: base model and policy side by side."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from curec_assets.alignment.teacher import Lesson, Teacher, teacher_options
from curec_assets.explanation.facts import Fact, Facts
from curec_assets.explanation.grammar import CHAIN_END
from curec_assets.explanation.grounding import GroundingChecker
from curec_assets.explanation.prompts import (
    NoteFacts,
    note_prompt,
    parse_note,
    parse_reason,
    reason_prompt,
)
from curec_assets.settings import load_profile
from resources.compute.accelerator import Accelerator
from resources.errors import EngineError
from resources.generation.journal import Journal, JournaledGenerator
from resources.generation.protocol import (
    Completion,
    GeneratorOptions,
    Prompt,
    Sampling,
    ServerEndpoint,
)
from resources.generation.server.generator import ServerFactory
from resources.generation.transformers.generator import TransformersFactory
from resources.generation.vllm.engine import installed
from resources.models.checkpoint import BaseCheckpoint
from resources.models.served_name import served_model_name

if not installed():
    pytest.skip("vLLM is not installed: `make test-vllm` runs these", allow_module_level=True)

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.timeout(1800),
    pytest.mark.filterwarnings("default"),  # vLLM's own, in an environment of other versions
]

FOUND = (
    Fact("related", 3, "The Quiet River", True),
    Fact("related", 1, "Amélie", True),
    Fact("related", -2, "The Wild Road", False),
)
TITLES = ("Heat", "Alien", "Speed", "Casablanca", "Notting Hill", "The Fly")
FACTS = [Facts(title, ("drama", "crime"), FOUND) for title in TITLES]
PROMPTS = [
    *(reason_prompt(facts, seed=number) for number, facts in enumerate(FACTS)),
    note_prompt(NoteFacts(1, (("drama", 2), ("crime", 1)), (("horror", -2),))),
    Prompt((("user", "Say hello."),)),
]
SAME = len(PROMPTS) - 1  # rounding may turn a choice between near equals
TOKENS = 64


def options(url: str, model: str = "") -> GeneratorOptions:
    return GeneratorOptions(8, 400, TOKENS, "server", ServerEndpoint(url, model))


@pytest.fixture(scope="module")
def server(
    smollm2: Path, adapter: Path, serving: Callable[[Sequence[str]], AbstractContextManager[str]]
) -> Iterator[str]:
    """vLLM's server with the base model, as `base`, and the policy beside it."""
    command = [str(smollm2), "--served-model-name", "base", "--max-model-len", "1024"]
    command += ["--enable-lora", "--max-lora-rank", "16"]
    command += ["--lora-modules", f"{served_model_name(adapter)}={adapter}"]
    with serving(command) as url:
        yield url


@pytest.fixture(scope="module")
def expected(smollm2: Path, adapter: Path) -> list[Completion]:
    """What `transformers` writes."""
    opening = TransformersFactory(accelerator=Accelerator()).open(
        BaseCheckpoint(smollm2), adapter, GeneratorOptions(8, 400, TOKENS)
    )
    with opening as generator:
        return generator.write(PROMPTS, Sampling(TOKENS))


def test_greedy_completions_are_those_of_transformers(
    server: str, smollm2: Path, adapter: Path, expected: list[Completion]
) -> None:
    with ServerFactory().open(BaseCheckpoint(smollm2), adapter, options(server)) as generator:
        assert generator.engine == f"server {served_model_name(adapter)}"
        written = generator.write(PROMPTS, Sampling(TOKENS))
        assert [generator.prompt_tokens(p) for p in PROMPTS] == [len(c.prompt_ids) for c in written]
    same = [pair for pair in zip(written, expected, strict=True) if pair[0].text == pair[1].text]
    assert len(same) >= SAME
    for ours, theirs in same:
        assert ours.token_ids == theirs.token_ids
        assert ours.constrained == theirs.constrained
        assert ours.prompt_ids == theirs.prompt_ids
        assert ours.finished == theirs.finished
        assert ours.scale == pytest.approx(theirs.scale, abs=1e-4)
    assert sum(ours.scale is not None for ours, _ in same) >= len(FACTS) - 1


def test_the_grammar_is_obeyed_by_samples_too(server: str, smollm2: Path, adapter: Path) -> None:
    with ServerFactory().open(BaseCheckpoint(smollm2), adapter, options(server)) as generator:
        sampling = Sampling(TOKENS, 1.0, 2)
        reasons = generator.write(PROMPTS[: len(FACTS)], sampling)
        (note, other) = generator.write(PROMPTS[len(FACTS) : len(FACTS) + 1], sampling)
    assert all(parse_reason(completion.text) for completion in reasons)
    assert len({completion.text for completion in reasons}) > len(FACTS)
    for completion in (note, other):
        constrained = sum(completion.constrained)
        assert constrained
        assert parse_note(completion.text.split(".")[0] + ".")


def test_a_sample_has_the_seed_of_its_place(server: str, smollm2: Path, adapter: Path) -> None:
    chat = PROMPTS[-1].messages
    with ServerFactory().open(BaseCheckpoint(smollm2), adapter, options(server)) as generator:
        together = generator.write([Prompt(chat, seed=5)], Sampling(12, 1.0, 3))
        alone = generator.write([Prompt(chat, seed=5 + k) for k in range(3)], Sampling(12, 1.0))
    assert [c.text for c in together] == [c.text for c in alone]
    assert len({c.text for c in together}) > 1


def test_a_stop_sequence_ends_the_text(server: str, smollm2: Path, adapter: Path) -> None:
    with ServerFactory().open(BaseCheckpoint(smollm2), adapter, options(server)) as generator:
        (whole,) = generator.write(PROMPTS[:1], Sampling(TOKENS))
        (cut,) = generator.write(PROMPTS[:1], Sampling(TOKENS, stop=(CHAIN_END,)))
    assert cut.text == whole.text.partition(CHAIN_END)[0]
    assert cut.finished


def test_a_policy_that_is_not_served_is_named(
    server: str, smollm2: Path, adapter: Path, tmp_path: Path
) -> None:
    newer = tmp_path / "adapter"
    newer.mkdir()
    for file in adapter.iterdir():
        if file.is_file():
            (newer / file.name).write_bytes(file.read_bytes())
    (newer / "adapter_config.json").write_text((adapter / "adapter_config.json").read_text() + " ")
    with (
        pytest.raises(EngineError, match=rf"serves 'base', '{served_model_name(adapter)}', not"),
        ServerFactory().open(BaseCheckpoint(smollm2), newer, options(server)),
    ):
        pass


def test_another_base_than_that_of_the_policy_is_noticed(
    server: str, tiny: Path, adapter: Path
) -> None:
    with (
        pytest.raises(EngineError, match="other tokens than the base model"),
        ServerFactory().open(BaseCheckpoint(tiny), adapter, options(server)),
    ):
        pass


def test_it_teaches(server: str, smollm2: Path, tmp_path: Path) -> None:
    """The base model is no good teacher, but all that it says has the form and is judged."""
    profile = load_profile(
        "smoke",
        {
            "teacher": {"url": server, "model": "base", "samples": 2, "concurrency": 4},
            "language_model": {"max_new_tokens": TOKENS},
        },
    )
    lessons = [
        Lesson(f"e{number}", f"u{number}", facts, (7, 3)[number % 2])
        for number, facts in enumerate(FACTS)
    ]
    with (
        Journal(tmp_path / "journal.jsonl", "base") as journal,
        ServerFactory().open(BaseCheckpoint(smollm2), None, teacher_options(profile)) as generator,
    ):
        teacher = Teacher(
            JournaledGenerator(generator, journal, 4),
            GroundingChecker(60),
            profile,
        )
        taught = teacher.teach(lessons)
        sampling = Sampling(TOKENS, profile.teacher.temperature, 2)
        keys = [journal.key(prompt, sampling) for prompt in teacher.prompts(lessons)]
        answers = [answer for key in keys for answer in journal[key]]
        started = time.monotonic()
        assert teacher.teach(lessons) == taught
        assert time.monotonic() - started < 5, "it was asked again"
    assert all(parse_reason(answer.text) for answer in answers)
    for lesson in lessons:
        outcome = taught[lesson.event_id]
        assert outcome.completion or len(outcome.refused) == 2
        if outcome.completion:
            parsed = parse_reason(outcome.completion)
            assert parsed is not None
            assert parsed.level == lesson.level
