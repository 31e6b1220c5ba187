"""The server engine against a real HTTP server on loopback that misbehaves on purpose."""

import json
import logging
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from resources.errors import ArtifactError, ConfigError, EngineError
from resources.generation.journal import Journal, JournaledGenerator
from resources.generation.protocol import (
    GeneratorOptions,
    Prompt,
    Sampling,
    ServerEndpoint,
    TextGenerator,
)
from resources.generation.server.generator import ServerFactory
from resources.models.base_models import LanguageModel
from resources.models.checkpoint import BaseCheckpoint
from resources.models.downloads import Downloads
from resources.models.served_name import served_model_name

PROMPTS = [Prompt((("user", f"say {number}"),), seed=number) for number in range(12)]


@dataclass
class Reply:
    """What the server does with one request."""

    status: int = 200
    body: str | None = None
    """None: the answer to the request."""
    headers: dict[str, str] = field(default_factory=dict)
    hang: bool = False
    close: bool = False
    drip: bool = False
    """A blank every tenth of a second, without end."""


@dataclass
class Script:
    """How the server behaves."""

    models: str = '{"object": "list", "data": [{"id": "policy", "object": "model"}]}'
    reply: Callable[[dict[str, Any], int], Reply] = lambda request, attempt: Reply()
    """From a request and how often its prompt has been asked for, from 0."""
    answer: Callable[[dict[str, Any]], dict[str, Any]] = field(
        default=lambda request: {
            "choices": [
                {
                    "index": index,
                    "message": {"content": f"{request['messages'][-1]['content']} #{index}"},
                    "finish_reason": "stop",
                }
                for index in range(request["n"])
            ]
        }
    )
    seconds: float = 0.0
    """How long an answer takes."""
    requests: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    most_at_once: int = 0
    released: threading.Event = field(default_factory=threading.Event)

    def asked(self, prompt: Prompt) -> int:
        return sum(r["messages"] == prompt.chat() for r in self.requests)


@contextmanager
def serving(script: Script) -> Iterator[str]:
    lock = threading.Lock()
    under_way = 0

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *arguments: object) -> None:
            pass

        def do_GET(self) -> None:
            self.respond(Reply(body=script.models))

        def do_POST(self) -> None:
            nonlocal under_way
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with lock:
                attempt = sum(r["messages"] == request["messages"] for r in script.requests)
                script.requests.append(request)
                script.keys.append(self.headers["Authorization"])
                under_way += 1
                script.most_at_once = max(script.most_at_once, under_way)
            time.sleep(script.seconds)
            with lock:
                under_way -= 1
            probe = request["messages"] == [{"role": "user", "content": "Hello"}]
            reply = Reply() if probe else script.reply(request, attempt)
            if reply.body is None:
                reply = replace(
                    reply, body=json.dumps({"model": request["model"], **script.answer(request)})
                )
            self.respond(reply)

        def respond(self, reply: Reply) -> None:
            if reply.hang:
                script.released.wait(30)
            if reply.hang or reply.close:
                self.close_connection = True
                return
            content = (reply.body or "").encode()
            self.send_response(reply.status)
            for name, value in {"Content-Type": "application/json", **reply.headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(10**6 if reply.drip else len(content)))
            self.end_headers()
            with suppress(ConnectionError):
                while reply.drip and not script.released.wait(0.1):
                    self.wfile.write(b" ")
                self.wfile.write(content)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = False
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        script.released.set()
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("base")
    downloads = Downloads(cache_dir=str(folder / "downloads"))
    return LanguageModel(cache_dir=str(folder), downloads=downloads).prepare("tiny").path


@pytest.fixture(scope="module")
def tokenizer(base: Path) -> PreTrainedTokenizerBase:
    loaded: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(base)
    return loaded


@contextmanager
def writing(
    base: Path, script: Script, adapter: Path | None = None, **endpoint: Any
) -> Iterator[TextGenerator]:
    with serving(script) as url:
        chosen = ServerEndpoint(
            **{"url": url, "model": "policy", "timeout_seconds": 20.0, "retries": 2, **endpoint}
        )
        options = GeneratorOptions(4, 400, 24, "server", chosen)
        with ServerFactory().open(BaseCheckpoint(base), adapter, options) as generator:
            yield generator


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


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    folder = tmp_path / "adapter"
    folder.mkdir()
    (folder / "adapter_model.safetensors").write_bytes(b"weights")
    (folder / "adapter_config.json").write_text("{}")
    return folder


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


# The words of the scale may occur where they decide nothing, and characters of several bytes.
CHAIN = "It is likely that Läst"
PROMPT = Prompt(
    (("user", "How likely?"),),
    'root ::= "It is likely that L" ("ä" | "ü") "st" word "!\\n"\n'
    'word ::= " unlikely" | " even" | " likely"',
    seed=5,
    scale=(" unlikely", " even", " likely"),
)


def speaking(
    tokenizer: PreTrainedTokenizerBase, text: str
) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Answers as vLLM would that writes `text`: with token ids and the probabilities asked for."""
    end = tokenizer.eos_token_id
    odds = ((" likely", 3.0), (" even", 0.0), (" unlikely", 1.0))
    scale = {tokenizer.encode(word)[0]: p for word, p in odds if p}

    def answer(request: dict[str, Any]) -> dict[str, Any]:
        chat = request["messages"]
        rendered = tokenizer.apply_chat_template(chat, add_generation_prompt=True, tokenize=False)
        tokens = [*tokenizer.encode(text), end]
        content = [
            {
                "token": f"token_id:{token}",
                "logprob": -1.0,
                "top_logprobs": [
                    {"token": f"token_id:{other}", "logprob": math.log(p / 9)}
                    for other, p in scale.items()
                    if other in request.get("logprob_token_ids", ())
                ],
            }
            for token in tokens
        ]
        choice = {"message": {"content": text}, "finish_reason": "stop", "token_ids": tokens}
        if "logprobs" in request:
            choice["logprobs"] = {"content": content}
        return {
            "choices": [{"index": index, **choice} for index in range(request["n"])],
            "prompt_token_ids": tokenizer.encode(str(rendered)),
        }

    return answer


@pytest.mark.parametrize("word", ["likely", "unlikely", "even"])
def test_what_the_grammar_constrained_is_told_from_what_was_free(
    base: Path, tokenizer: PreTrainedTokenizerBase, word: str
) -> None:
    text = f"{CHAIN} {word}!\nYou liked it."
    script = Script(answer=speaking(tokenizer, text))
    with writing(base, script) as generator:
        (completion,) = generator.write([PROMPT], Sampling(99, keep_allowed=True))
        prompt_tokens = generator.prompt_tokens(PROMPT)
    assert completion.text == text
    assert completion.token_ids == (*tokenizer.encode(text), tokenizer.eos_token_id)
    assert len(completion.prompt_ids) == prompt_tokens
    assert len(completion.constrained) == len(completion.token_ids)
    constrained = [
        t for t, held in zip(completion.token_ids, completion.constrained, strict=True) if held
    ]
    assert tokenizer.decode(constrained) == f"{CHAIN} {word}!\n"
    assert completion.constrained == tuple(sorted(completion.constrained, reverse=True))
    assert completion.scale == pytest.approx((0.25, 0.0, 0.75))
    sent = script.requests[-1]["structured_outputs"]["grammar"]
    assert sent.count("root ::=") == 1
    decides = tokenizer.encode(f" {word}")[0]
    place = max(at for at, token in enumerate(completion.token_ids) if token == decides)
    assert {tokenizer.encode(f" {w}")[0] for w in ("likely", "unlikely", "even")} <= set(
        completion.allowed[place]
    )


def test_a_text_cut_within_the_chain_is_constrained_throughout(
    base: Path, tokenizer: PreTrainedTokenizerBase
) -> None:
    whole = tokenizer.encode(CHAIN)
    cut = next(n for n in range(len(whole)) if tokenizer.decode(whole[:n]).endswith("\ufffd"))

    def answer(request: dict[str, Any]) -> dict[str, Any]:
        text = tokenizer.decode(whole[:cut])
        choice = {"index": 0, "message": {"content": text}, "finish_reason": "length"}
        return {
            **speaking(tokenizer, "")(request),
            "choices": [{**choice, "token_ids": whole[:cut]}],
        }

    with writing(base, Script(answer=answer)) as generator:
        (completion,) = generator.write([PROMPT], Sampling(cut))
    assert completion.constrained == (True,) * cut
    assert not completion.finished


@pytest.mark.fault("a hostile or slow server")
def test_a_server_that_tells_nothing_of_tokens(base: Path) -> None:
    text = f"{CHAIN} likely!\nYou liked it."
    plain = {"index": 0, "message": {"content": text}, "finish_reason": "length"}
    with writing(base, Script(answer=lambda _: {"choices": [plain]})) as generator:
        (completion,) = generator.write([PROMPT], Sampling(99, keep_allowed=True))
    assert (completion.token_ids, completion.constrained, completion.prompt_ids) == ((), (), ())
    assert completion.allowed == ()
    assert completion.scale is None
    assert not completion.finished


@pytest.mark.fault("a hostile or slow server")
def test_a_server_that_ignores_the_grammar_is_noticed_once(
    base: Path, tokenizer: PreTrainedTokenizerBase, caplog: pytest.LogCaptureFixture
) -> None:
    script = Script(answer=speaking(tokenizer, "Sure! Here is the evidence."))
    with (
        caplog.at_level(logging.WARNING, "resources.generation.server.generator"),
        writing(base, script) as generator,
    ):
        for _ in range(2):
            (completion,) = generator.write([PROMPT], Sampling(99))
    assert completion.text == "Sure! Here is the evidence."
    assert not any(completion.constrained)
    assert completion.scale is None
    warnings = [r.getMessage() for r in caplog.records if "obey" in r.getMessage()]
    assert len(warnings) == 1
    assert "1 of 1 texts" in warnings[0]


def test_the_policy_on_another_base_or_chat_template_is_refused(
    base: Path, adapter: Path, tokenizer: PreTrainedTokenizerBase
) -> None:
    def other(request: dict[str, Any]) -> dict[str, Any]:
        return {**speaking(tokenizer, "x")(request), "prompt_token_ids": [1, 2, 3]}

    with (
        pytest.raises(EngineError, match="other tokens than the base model"),
        writing(base, Script(answer=other), adapter),
    ):
        pass
    with writing(base, Script(answer=other)) as generator:  # a teacher may have any tokenizer
        (completion,) = generator.write(PROMPTS[:1], Sampling(8))
    assert (completion.text, completion.token_ids) == ("x", ())


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
