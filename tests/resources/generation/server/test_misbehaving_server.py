"""The server engine against a real HTTP server that misbehaves on purpose."""

import time
from pathlib import Path
from typing import Any

import pytest

from resources.errors import EngineError
from resources.generation.journal import Journal, JournaledGenerator
from resources.generation.protocol import (
    GeneratorOptions,
    Sampling,
    ServerEndpoint,
)
from resources.generation.server.generator import ServerFactory
from resources.models.checkpoint import BaseCheckpoint
from resources.models.served_name import served_model_name
from tests.support.scripted_server import PROMPTS, Reply, Script, serving, writing

ONE = (
    '{"model": "policy", "choices": '
    '[{"index": 0, "message": {"content": "x"}, "finish_reason": "stop"}]}'
)


TRANSIENT = {
    "429, told when to come back": Reply(429, "{}", {"Retry-After": "1"}),
    "500": Reply(500, "oops"),
    "connection closed": Reply(close=True),
    "no JSON": Reply(body="<html>busy</html>"),
    "no JSON, and not called so": Reply(body="<html>", headers={"Content-Type": "text/html"}),
    "another shape": Reply(body='{"choices": []}'),
    "too few completions": Reply(body=ONE),
    "another model": Reply(body=ONE.replace("policy", "policy-mini")),
    "null": Reply(body=ONE.replace('"x"', "null")),
}


@pytest.mark.fault("a hostile or slow server")
@pytest.mark.parametrize("trouble", TRANSIENT)
def test_a_server_that_recovers(base: Path, trouble: str) -> None:
    script = Script(reply=lambda _, attempt: Reply() if attempt else TRANSIENT[trouble])
    started = time.monotonic()
    with writing(base, script) as generator:
        written = generator.write(PROMPTS[:2], Sampling(8, 0.5, 2))
    assert [c.text for c in written] == ["say 0 #0", "say 0 #1", "say 1 #0", "say 1 #1"]
    assert script.asked(PROMPTS[0]) == 2
    if "429" in trouble:
        assert time.monotonic() - started >= 1.0, "Retry-After was not heeded"


@pytest.mark.fault("a hostile or slow server")
@pytest.mark.parametrize(
    ("reply", "attempts", "said"),
    [
        (Reply(429, '{"error": "slow down"}'), 2, r"answered 429.*slow down.*tried 2 times.*conc"),
        (Reply(500, "oops"), 2, r"answered 500: 'oops'; tried 2 times"),
        (Reply(401, '{"error": "who?"}'), 1, r"answered 401.*tried once.*api_key_variable"),
        (Reply(400, '{"error": "too long"}'), 1, r"answered 400.*too long.*tried once"),
        (Reply(body="<html>"), 2, r"answered what is no answer: '<html>'; tried 2 times"),
        (Reply(close=True), 2, r"cannot be reached or broke off.*tried 2 times"),
        (Reply(hang=True), 2, r"did not answer within 0.3 s; tried 2 times.*timeout_seconds"),
        (Reply(drip=True), 2, r"did not answer within 0.3 s; tried 2 times.*timeout_seconds"),
        (
            Reply(body=ONE.replace("policy", "policy-mini")),
            2,
            r"answered as 'policy-mini', not as 'policy'.*tried 2 times.*serve that one",
        ),
        (
            Reply(body=ONE.replace('"policy"', "null")),
            2,
            r"answered what is no answer.*tried 2 times",
        ),
        (
            Reply(body=ONE.replace('"x"', "null")),
            2,
            r"answered without a text \(content is null\).*tried 2 times.*reasoning parser",
        ),
    ],
)
def test_a_server_that_does_not(base: Path, reply: Reply, attempts: int, said: str) -> None:
    """The error says what happened, where, how often it was tried, and what to do."""
    script = Script(reply=lambda _, __: reply)
    started = time.monotonic()
    with (
        pytest.raises(EngineError, match=rf"http://127\.0\.0\.1:\d+/v1 {said}.*is kept"),
        writing(base, script, retries=1, timeout_seconds=0.3) as generator,
    ):
        generator.write(PROMPTS[:1], Sampling(8))
    assert script.asked(PROMPTS[0]) == attempts
    assert time.monotonic() - started < 10


@pytest.mark.parametrize("answering", ["policy", "policy-2026-01-31", "policy-0613"])
def test_a_dated_snapshot_of_the_model_is_the_model(base: Path, answering: str) -> None:
    script = Script(reply=lambda _, __: Reply(body=ONE.replace("policy", answering)))
    with writing(base, script, retries=0) as generator:
        (completion,) = generator.write(PROMPTS[:1], Sampling(8))
    assert completion.text == "x"


@pytest.mark.fault("a hostile or slow server")
def test_no_server(base: Path) -> None:
    with serving(Script()) as url:
        pass
    options = GeneratorOptions(4, 400, 24, "server", ServerEndpoint(url, "policy", retries=0))
    with (
        pytest.raises(EngineError, match=r"cannot be reached.*tried once.*server\.url"),
        ServerFactory().open(BaseCheckpoint(base), None, options),
    ):
        pass


@pytest.mark.fault("a hostile or slow server")
def test_a_server_that_is_no_such_server(base: Path) -> None:
    with (
        pytest.raises(EngineError, match=r"no answer: 'It works!'.*/v1"),
        writing(base, Script(models="It works!"), retries=0),
    ):
        pass


@pytest.mark.fault("a hostile or slow server")
def test_another_model_is_served(base: Path, adapter: Path) -> None:
    name = served_model_name(adapter)
    with (
        pytest.raises(
            EngineError,
            match=rf"serves 'policy', not '{name}'.*curec export-policy.*served-model-name {name}",
        ),
        writing(base, Script(), adapter, model=""),
    ):
        pass
    with (
        pytest.raises(EngineError, match=r"serves no model, not 'policy'"),
        writing(base, Script(models='{"data": []}')),
    ):
        pass


@pytest.mark.fault("a hostile or slow server")
def test_what_was_answered_before_the_server_died_is_not_asked_again(
    base: Path, tmp_path: Path
) -> None:
    def dying(request: dict[str, Any], _: int) -> Reply:
        return Reply(500, "out of memory") if request["seed"] == 7 else Reply()

    first, second = Script(reply=dying), Script()
    with (
        Journal(tmp_path / "journal.jsonl", "policy") as journal,
        pytest.raises(EngineError, match="out of memory"),
        writing(base, first, concurrency=3, retries=0) as generator,
    ):
        JournaledGenerator(generator, journal, 1).write(PROMPTS, Sampling(8))
    with (
        Journal(tmp_path / "journal.jsonl", "policy") as journal,
        writing(base, second) as generator,
    ):
        written = JournaledGenerator(generator, journal, 1).write(PROMPTS, Sampling(8))
    assert [c.text for c in written] == [f"say {n} #0" for n in range(12)]
    for prompt in PROMPTS:
        asked = (first.asked(prompt), second.asked(prompt))
        assert asked == ((1, 1) if prompt.seed == 7 else asked)
        assert sum(asked) == (2 if prompt.seed == 7 else 1), "answered ones are not asked again"
    assert 2 <= len(second.requests) < len(PROMPTS)
