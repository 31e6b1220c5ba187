"""What the server engine asks a real HTTP server on loopback, and of which model."""

import signal
import threading
import time
from pathlib import Path

import pytest

from resources.errors import ArtifactError, ConfigError, EngineError
from resources.generation.protocol import (
    GeneratorOptions,
    Prompt,
    Sampling,
)
from resources.generation.server.generator import ServerFactory
from resources.models.checkpoint import BaseCheckpoint
from resources.models.served_name import served_model_name
from tests.support.scripted_server import PROMPTS, Reply, Script, writing


def test_order_samples_and_settings_of_the_request(base: Path) -> None:
    script = Script(reply=lambda request, _: (time.sleep(request["seed"] % 3 / 50), Reply())[1])
    with writing(base, script) as generator:
        assert generator.engine == "server policy"
        written = generator.write(PROMPTS, Sampling(8, 0.5, 3, ("\n",)))
        assert generator.write([], Sampling(8)) == []
    assert [c.text for c in written] == [f"say {n} #{k}" for n in range(12) for k in range(3)]
    assert all(c.finished and c.scale is None for c in written)
    request = next(r for r in script.requests if r["messages"][-1]["content"] == "say 7")
    expected = {"model": "policy", "max_tokens": 8, "temperature": 0.5, "n": 3, "seed": 7}
    expected |= {"stop": ["\n"], "top_p": 1.0, "top_k": 0, "min_p": 0.0, "repetition_penalty": 1.0}
    assert {name: request[name] for name in expected} == expected
    assert "structured_outputs" not in request


def test_greedy_samples_are_asked_for_once(base: Path) -> None:
    script = Script()
    with writing(base, script) as generator:
        written = generator.write(PROMPTS[:1], Sampling(8, samples=3))
    assert [c.text for c in written] == ["say 0 #0"] * 3
    assert script.asked(PROMPTS[0]) == 1


@pytest.mark.parametrize("concurrency", [1, 4])
def test_the_bound_on_requests_at_once_is_held_and_used(base: Path, concurrency: int) -> None:
    script = Script(seconds=0.05)
    with writing(base, script, concurrency=concurrency) as generator:
        generator.write(PROMPTS, Sampling(8))
    assert script.most_at_once == concurrency


def test_the_name_follows_the_weights(adapter: Path) -> None:
    name = served_model_name(adapter)
    assert name == served_model_name(adapter)
    for file in adapter.iterdir():
        before = file.read_bytes()
        file.write_bytes(before + b" ")
        assert served_model_name(adapter) != name
        file.write_bytes(before)
    (adapter / "adapter_config.json").unlink()
    with pytest.raises(ArtifactError, match=r"no adapter_config\.json"):
        served_model_name(adapter)


def test_no_name_no_address(base: Path) -> None:
    with pytest.raises(ConfigError, match=r"set server\.model"), writing(base, Script(), model=""):
        pass
    with (
        pytest.raises(ConfigError, match=r"set server\.url"),
        ServerFactory().open(BaseCheckpoint(base), None, GeneratorOptions(4, 400, 24, "server")),
    ):
        pass


def test_the_key_comes_from_the_environment(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = Script()
    monkeypatch.setenv("TEST_SERVER_KEY", "sesame")
    with writing(base, script, api_key_variable="TEST_SERVER_KEY") as generator:
        generator.write(PROMPTS[:1], Sampling(8))
    assert set(script.keys) == {"Bearer sesame"}
    monkeypatch.delenv("TEST_SERVER_KEY")
    with (
        pytest.raises(ConfigError, match=r"'TEST_SERVER_KEY'.*not set"),
        writing(base, script, api_key_variable="TEST_SERVER_KEY"),
    ):
        pass


def test_a_prompt_that_is_too_long_is_refused_unsent(base: Path) -> None:
    script = Script()
    long = Prompt((("user", "word " * 400),))
    with (
        pytest.raises(EngineError, match="max_prompt_tokens = 400"),
        writing(base, script) as generator,
    ):
        assert generator.prompt_tokens(PROMPTS[0]) < 400 < generator.prompt_tokens(long)
        generator.write([PROMPTS[0], long], Sampling(8))
    assert script.asked(PROMPTS[0]) == 0


def test_an_interrupted_writer_closes_at_once(base: Path) -> None:
    # Started in the background of a shell, Python finds SIGINT ignored and leaves it so.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        _interrupted(base)
    finally:
        signal.signal(signal.SIGINT, before)


def _interrupted(base: Path) -> None:
    script = Script(reply=lambda _, __: Reply(hang=True))
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt), writing(base, script) as generator:
        main = threading.get_ident()
        timer = threading.Timer(0.5, signal.pthread_kill, (main, signal.SIGINT))
        timer.start()
        generator.write(PROMPTS, Sampling(8))
    assert time.monotonic() - started < 15, "requests under way were waited for"
