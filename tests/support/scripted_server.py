"""A real HTTP server on loopback that misbehaves as it is told."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from resources.generation.protocol import (
    GeneratorOptions,
    Prompt,
    ServerEndpoint,
    TextGenerator,
)
from resources.generation.server.generator import ServerFactory
from resources.models.checkpoint import BaseCheckpoint

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
        """How often a prompt was."""
        return sum(r["messages"] == prompt.chat() for r in self.requests)


@contextmanager
def serving(script: Script) -> Iterator[str]:
    """Its address while it runs."""
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


@contextmanager
def writing(
    base: Path, script: Script, adapter: Path | None = None, **endpoint: Any
) -> Iterator[TextGenerator]:
    """The engine that asks a server which follows `script`."""
    with serving(script) as url:
        chosen = ServerEndpoint(
            **{"url": url, "model": "policy", "timeout_seconds": 20.0, "retries": 2, **endpoint}
        )
        options = GeneratorOptions(4, 400, 24, "server", chosen)
        with ServerFactory().open(BaseCheckpoint(base), adapter, options) as generator:
            yield generator
