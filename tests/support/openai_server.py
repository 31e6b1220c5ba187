"""A real OpenAI-compatible server on loopback, for tests: a `TextGenerator` behind HTTP.

It answers as vLLM does, as far as the server engine reads it: token ids, structured outputs, and
the log-probabilities of asked-for tokens. The real `vllm serve` is used in `tests/vllm`.
"""

import json
import math
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from resources.errors import EngineError
from resources.generation.protocol import Completion, Prompt, Sampling, TextGenerator
from resources.generation.scale import ScaleTokens, TokenTexts

MODEL = "served"


@contextmanager
def openai_server(
    generator: TextGenerator, texts: TokenTexts, words: tuple[str, ...]
) -> Iterator[str]:
    """Address of a server whose only model is `MODEL`; one request at a time."""
    one_at_a_time = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *arguments: object) -> None:
            pass

        def do_GET(self) -> None:
            self.answer(200, {"object": "list", "data": [{"id": MODEL, "object": "model"}]})

        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            try:
                with one_at_a_time:
                    written = generator.write([_prompt(request, words)], _sampling(request))
            except EngineError as error:
                self.answer(400, {"error": str(error)})
                return
            self.answer(200, _answer(written, texts.scale(words)))

        def answer(self, status: int, content: dict[str, Any]) -> None:
            body = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _prompt(request: dict[str, Any], words: tuple[str, ...]) -> Prompt:
    messages = tuple((turn["role"], turn["content"]) for turn in request["messages"])
    grammar = request.get("structured_outputs", {}).get("grammar", "")
    scale = words if "logprob_token_ids" in request else ()
    # vLLM ends a text where nothing else may follow.
    open_end = not grammar or "\nfree ::= " in grammar
    return Prompt(messages, grammar, request["seed"], scale, open_end)


def _sampling(request: dict[str, Any]) -> Sampling:
    return Sampling(
        request["max_tokens"],
        request["temperature"],
        request["n"],
        tuple(request.get("stop", ())),
    )


def _answer(written: Sequence[Completion], words: ScaleTokens) -> dict[str, Any]:
    return {
        "model": MODEL,
        "prompt_token_ids": list(written[0].prompt_ids),
        "choices": [
            {
                "index": index,
                "message": {"role": "assistant", "content": completion.text},
                "finish_reason": "stop" if completion.finished else "length",
                "token_ids": list(completion.token_ids),
                "logprobs": {"content": [_position(completion, words)] * len(completion.token_ids)},
            }
            for index, completion in enumerate(written)
        ],
    }


def _position(completion: Completion, words: ScaleTokens) -> dict[str, Any]:
    """The same at each token: who reads it knows which one decides."""
    if completion.scale is None:
        return {"token": "", "logprob": 0.0, "bytes": None, "top_logprobs": []}
    return {
        "token": "",
        "logprob": 0.0,
        "bytes": None,
        "top_logprobs": [
            {"token": f"token_id:{token}", "logprob": math.log(max(probability, 1e-30))}
            for tokens, probability in zip(words.words, completion.scale, strict=True)
            for token in sorted(tokens)[:1]
        ],
    }
