"""The journal: nothing lost, nothing written twice, whatever happens in between."""

import hashlib
import logging
import os
import resource
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resources.errors import ArtifactError, EngineError
from resources.generation.journal import Journal, JournaledGenerator
from resources.generation.protocol import Completion, Prompt, Sampling

PROMPTS = [Prompt((("user", f"Item: é{n}"),), "", n) for n in range(7)]


def completion(prompt: Prompt, sampling: Sampling, sample: int) -> Completion:
    """Some completion that depends on all that it may depend on."""
    seen = repr((prompt, sampling.max_new_tokens, sampling.temperature, sampling.stop, sample))
    bytes_ = hashlib.sha256(seen.encode()).digest()
    return Completion(
        text=bytes_.decode("latin-1") + "\n漢",
        token_ids=tuple(bytes_),
        constrained=tuple(byte % 2 == 0 for byte in bytes_),
        finished=bytes_[0] % 2 == 0,
        scale=None if bytes_[1] % 2 else (bytes_[2] / 3, 0.5),
        prompt_ids=tuple(bytes_[:5]),
        logprobs=None if bytes_[3] % 2 else (-1.5, -0.1),
        allowed=() if bytes_[4] % 2 else ((), tuple(bytes_[:3]), ()),
    )


@dataclass
class Writer:
    """An engine that dies after some calls or prompts, and counts what it delivered."""

    lives: int = 10**9
    engine: str = "test 1"
    delivered: Counter[Prompt] = field(default_factory=Counter)

    def write(self, prompts: Sequence[Prompt], sampling: Sampling) -> list[Completion]:
        self.lives -= len(prompts)
        if self.lives < 0:
            raise EngineError("the engine died")
        self.delivered.update(prompts)
        return [completion(p, sampling, k) for p in prompts for k in range(sampling.samples)]

    def prompt_tokens(self, prompt: Prompt) -> int:
        return len(prompt.messages)


class EachWriter(Writer):
    """The same, delivering each prompt by itself and in another order."""

    def write_each(
        self, prompts: Sequence[Prompt], sampling: Sampling
    ) -> Iterator[tuple[int, list[Completion]]]:
        for position in reversed(range(len(prompts))):
            yield position, self.write([prompts[position]], sampling)


samplings = st.builds(
    Sampling,
    st.integers(1, 99),
    st.sampled_from([0.0, 0.7]),
    st.integers(1, 3),
    st.sampled_from([(), ("\n", "x")]),
)
asked = st.lists(st.sampled_from(PROMPTS), max_size=14)  # with repetitions


@given(
    prompts=asked,
    sampling=samplings,
    kind=st.sampled_from([Writer, EachWriter]),
    chunk=st.integers(1, 4),
    lives=st.lists(st.integers(0, 8), max_size=4),
)
def test_dying_at_any_point_and_going_on_is_as_never_dying(
    tmp_path_factory: pytest.TempPathFactory,
    prompts: list[Prompt],
    sampling: Sampling,
    kind: type[Writer],
    chunk: int,
    lives: list[int],
) -> None:
    path = tmp_path_factory.mktemp("journal") / "new" / "journal.jsonl"
    delivered: Counter[Prompt] = Counter()
    for count in [*lives, 10**9]:
        inner = kind(count)
        with Journal(path, "model") as journal:
            generator = JournaledGenerator(inner, journal, chunk)
            try:
                written = generator.write(prompts, sampling)
            except EngineError:
                assert count < len(prompts)
        delivered += inner.delivered
    assert written == Writer().write(prompts, sampling)
    assert delivered == Counter(set(prompts)), "every prompt was written once, whoever died"


@given(data=st.data(), sampling=samplings)
def test_whatever_happens_to_the_file_the_answers_are_right(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, sampling: Sampling
) -> None:
    path = tmp_path_factory.mktemp("journal") / "journal.jsonl"
    with Journal(path, "model") as journal:
        JournaledGenerator(Writer(), journal, 2).write(PROMPTS, sampling)
    content = path.read_bytes()
    at = data.draw(st.integers(0, len(content) - 1))
    torn = data.draw(st.booleans())
    changed = bytes([content[at] ^ data.draw(st.integers(1, 255))])
    path.write_bytes(content[:at] if torn else content[:at] + changed + content[at + 1 :])
    lines_before = content[:at].count(b"\n")
    for again in range(2):
        inner = Writer()
        with Journal(path, "model") as journal:
            assert JournaledGenerator(inner, journal, 2).write(PROMPTS, sampling) == Writer().write(
                PROMPTS, sampling
            )
        if again:
            assert not inner.delivered, "the fixed file has everything"
        else:
            hurt = PROMPTS[lines_before:] if torn else PROMPTS[lines_before : lines_before + 2]
            assert set(inner.delivered) <= set(hurt)
            assert set(inner.delivered) >= set(hurt[:1]), "damage is never taken for a text"


@pytest.mark.parametrize(
    ("identity", "prompt", "sampling"),
    [
        ("another model", PROMPTS[0], Sampling(8)),
        ("model", replace(PROMPTS[0], seed=99), Sampling(8)),
        ("model", replace(PROMPTS[0], grammar='root ::= "x"'), Sampling(8)),
        ("model", replace(PROMPTS[0], messages=(("system", "Item: é0"),)), Sampling(8)),
        ("model", PROMPTS[0], Sampling(9)),
        ("model", PROMPTS[0], Sampling(8, 0.5)),
        ("model", PROMPTS[0], Sampling(8, samples=2)),
        ("model", PROMPTS[0], Sampling(8, stop=("x",))),
    ],
)
def test_nothing_else_is_answered_with_it(
    tmp_path: Path, identity: str, prompt: Prompt, sampling: Sampling
) -> None:
    path = tmp_path / "journal.jsonl"
    with Journal(path, "model") as journal:
        JournaledGenerator(Writer(), journal, 8).write([PROMPTS[0]], Sampling(8))
    inner = Writer()
    with Journal(path, identity) as journal:
        JournaledGenerator(inner, journal, 8).write([prompt], sampling)
    assert inner.delivered[prompt] == 1


def test_damage_is_reported(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "journal.jsonl"
    with Journal(path, "model") as journal:
        JournaledGenerator(Writer(), journal, 8).write(PROMPTS[:3], Sampling(8))
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + lines[1].replace(b"true", b"flse") + b"x" + lines[2] + lines[0][:9])
    with caplog.at_level(logging.WARNING), Journal(path, "model"):
        pass
    assert "torn" in caplog.text
    assert "damaged lines" in caplog.text
    assert path.read_bytes().endswith(b"\n")


def test_a_killed_process_loses_no_line(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    program = """
import os, signal, sys
sys.path.insert(0, sys.argv[2])
from pathlib import Path
from test_journal import PROMPTS, Sampling, Writer
from resources.generation.journal import Journal, JournaledGenerator
generator = JournaledGenerator(Writer(), Journal(Path(sys.argv[1]), "model"), 1)
generator.write(PROMPTS[:3], Sampling(8))
os.kill(os.getpid(), signal.SIGKILL)
"""
    killed = subprocess.run(
        [sys.executable, "-c", program, str(path), str(Path(__file__).parent)],
        cwd=Path(__file__).parents[3],
        env={**os.environ, "PYTHONPATH": "."},
    )
    assert killed.returncode == -signal.SIGKILL
    inner = Writer()
    with Journal(path, "model") as journal:
        JournaledGenerator(inner, journal, 1).write(PROMPTS, Sampling(8))
    assert set(inner.delivered) == set(PROMPTS[3:])


@pytest.mark.fault("full disk")
def test_a_full_disk_spoils_nothing(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    with Journal(path, "model") as journal:
        generator = JournaledGenerator(Writer(), journal, 1)
        generator.write(PROMPTS[:2], Sampling(8))
        kept = path.read_bytes()
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(kept) + 100, hard))
        try:
            with pytest.raises(ArtifactError, match="free disk space"):
                generator.write(PROMPTS, Sampling(8))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
            signal.signal(signal.SIGXFSZ, before)
        assert path.read_bytes() == kept
        assert generator.write(PROMPTS, Sampling(8)) == Writer().write(PROMPTS, Sampling(8))


def test_it_passes_on_what_it_does_not_journal(tmp_path: Path) -> None:
    with Journal(tmp_path / "journal.jsonl", "model") as journal:
        generator = JournaledGenerator(Writer(), journal, 1)
        assert generator.engine == "test 1"
        assert generator.prompt_tokens(PROMPTS[0]) == 1
        assert generator.write([], Sampling(8)) == []
