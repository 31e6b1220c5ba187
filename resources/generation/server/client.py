"""Asking an OpenAI-compatible server, and saying in words what went wrong.

The `openai` client sends, times out, and repeats after 408, 409, 429, 5xx and broken connections,
waiting as `Retry-After` says (up to two minutes) or exponentially longer. What it takes for an
answer may still be no answer: a body that lacks what was asked for, or is another model's, is asked
for again here.
"""

import asyncio
import os
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from pydantic import BaseModel, Field, ValidationError

from resources.errors import ConfigError, EngineError
from resources.generation.protocol import ServerEndpoint

if TYPE_CHECKING:
    from httpx2 import AsyncClient
    from openai import APIConnectionError, APIStatusError, AsyncOpenAI

_CONNECT_SECONDS = 10.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 8.0  # the client's own
_SHOWN = 200  # characters of an answer in an error message
_SNAPSHOT = re.compile(r"(-\d{4}(-\d{2}-\d{2}|\d{4})?)?")  # of an alias: gpt-x-2026-01-31


class _ServedModel(BaseModel):
    id: str


class _Models(BaseModel):
    data: list[_ServedModel]


class _Message(BaseModel):
    content: str


class TokenProbability(BaseModel):
    """A token, as `token_id:5` where that was asked for, and its log-probability."""

    token: str
    logprob: float


class PositionProbabilities(BaseModel):
    """Log-probabilities of some tokens at one position of a completion."""

    top_logprobs: list[TokenProbability] = Field(default_factory=list)


class _Logprobs(BaseModel):
    content: list[PositionProbabilities] | None = None


class Choice(BaseModel):
    """One completion of a chat."""

    index: int
    message: _Message
    finish_reason: str | None
    logprobs: _Logprobs | None = None
    token_ids: list[int] | None = None
    """vLLM's: the generated tokens, end-of-turn token included."""

    @property
    def positions(self) -> list[PositionProbabilities]:
        """Per token, what the server said of probabilities; empty when it said nothing."""
        return (self.logprobs.content if self.logprobs else None) or []


class Answer(BaseModel):
    """What a server answers to a chat: the parts of it that are used."""

    model: str
    choices: list[Choice] = Field(min_length=1)
    prompt_token_ids: list[int] | None = None
    """vLLM's: the prompt's tokens."""


class _Raw(Protocol):
    @property
    def text(self) -> str: ...


_Shape = TypeVar("_Shape", bound=BaseModel)


@dataclass(frozen=True)
class _Flaw:
    """Why what was answered cannot be used, and what to do about it."""

    what: str
    fix: str


_NO_ANSWER = _Flaw(
    "what is no answer",
    "see whether the address is that of an OpenAI-compatible server (it ends in /v1)",
)
_NO_TEXT = _Flaw(
    "without a text (content is null)",
    "serve the model without tools, filters and a reasoning parser, which leave nothing of it",
)


class ServerClient:
    """One endpoint. Its methods raise `EngineError`; they run in one event loop."""

    def __init__(self, endpoint: ServerEndpoint, client: "AsyncOpenAI") -> None:
        self._endpoint = endpoint
        self._client = client

    async def models(self) -> list[str]:
        """Names of the served models."""
        answer = await self._ask(self._client.models.with_raw_response.list, _Models)
        return [model.id for model in answer.data]

    async def chat(self, count: int, *, model: str, **request: Any) -> Answer:
        """`count` completions of one chat; `request` as the client's `create` takes it."""

        async def send() -> _Raw:
            create: Any = self._client.chat.completions.with_raw_response.create
            raw: _Raw = await create(n=count, model=model, **request)
            return raw

        def flaw(answer: Answer) -> _Flaw | None:
            if sorted(choice.index for choice in answer.choices) != list(range(count)):
                return _NO_ANSWER
            if not _is_model(answer.model, model):
                return _Flaw(
                    f"as {answer.model!r}, not as {model!r}, which was asked for",
                    "serve that one, or name in the settings the one that is served",
                )
            return None

        answer = await self._ask(send, Answer, flaw)
        answer.choices.sort(key=lambda choice: choice.index)
        return answer

    async def _ask(
        self,
        send: Callable[[], Awaitable[_Raw]],
        shape: type[_Shape],
        flaw: Callable[[_Shape], _Flaw | None] = lambda _: None,
    ) -> _Shape:
        import openai

        body, found = "", _NO_ANSWER
        for attempt in range(self._endpoint.retries + 1):
            if attempt:
                await asyncio.sleep(min(_FIRST_PAUSE * 2.0 ** (attempt - 1), _LONGEST_PAUSE))
            try:
                body = (await send()).text
                answer = shape.model_validate_json(body)
            except ValidationError as error:
                found = _misshapen(error)
                continue
            except openai.APIStatusError as error:
                raise self._refused(error) from error
            except openai.APIConnectionError as error:
                raise self._unreachable(error) from error
            wrong = flaw(answer)
            if wrong is None:
                return answer
            found = wrong
        raise self._failed(
            f"answered {found.what}: {body[:_SHOWN]!r}", self._endpoint.retries + 1, found.fix
        )

    def _refused(self, error: "APIStatusError") -> EngineError:
        status = error.status_code
        variable = self._endpoint.api_key_variable
        fix = "see the server's log"
        if status in (401, 403):
            fix = f"set {variable} to a valid key" if variable else "set server.api_key_variable"
        elif status == 429:
            fix = "lower server.concurrency, raise server.retries or wait"
        elif status in (400, 404, 422):
            fix = "see whether it still serves that model, and with a long enough context"
        found = f"answered {status}: {error.response.text[:_SHOWN]!r}"
        return self._failed(found, _attempts(error.request.headers), fix)

    def _unreachable(self, error: "APIConnectionError") -> EngineError:
        import openai

        if isinstance(error, openai.APITimeoutError):
            found = f"did not answer within {self._endpoint.timeout_seconds:g} s"
            fix = "raise server.timeout_seconds, lower server.concurrency or see the server's log"
        else:
            found = f"cannot be reached or broke off ({error.__cause__ or error})"
            fix = "start it, or fix server.url"
        return self._failed(found, _attempts(error.request.headers), fix)

    def _failed(self, found: str, attempts: int, fix: str) -> EngineError:
        often = "once" if attempts == 1 else f"{attempts} times"
        return EngineError(
            f"the server at {self._endpoint.url} {found}; tried {often}. To fix it: {fix}; then "
            "run again: what was written is kept, and the rest follows"
        )


def connect(endpoint: ServerEndpoint) -> "AsyncOpenAI":
    """A client of the endpoint, to be closed. Raises `ConfigError` when the key is not set."""
    import openai

    variable = endpoint.api_key_variable
    key = os.environ.get(variable) if variable else "none"  # the client insists on one
    if not key:
        raise ConfigError(
            f"the environment variable {variable!r}, which is to hold the key of {endpoint.url}, "
            "is not set; set it, or empty api_key_variable if the server wants no key"
        )
    return openai.AsyncOpenAI(
        base_url=endpoint.url,
        api_key=key,
        timeout=openai.Timeout(
            endpoint.timeout_seconds, connect=min(endpoint.timeout_seconds, _CONNECT_SECONDS)
        ),
        max_retries=endpoint.retries,
        http_client=_impatient(endpoint.timeout_seconds),
    )


def _impatient(seconds: float) -> "AsyncClient":
    """A client whose every request, body included, ends within `seconds`.

    A timeout of httpx2 is the longest wait for the next bytes: a server that sends one at a time
    never meets it.
    """
    import httpx2
    import openai

    class Impatient(openai.DefaultAsyncHttpxClient):
        async def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
            try:
                async with asyncio.timeout(seconds):
                    return await super().send(request, **options)
            except TimeoutError as error:
                message = f"not answered in full within {seconds:g} s"
                raise httpx2.ReadTimeout(message, request=request) from error

    return Impatient()


def _misshapen(error: ValidationError) -> _Flaw:
    without_text = any(
        problem["loc"][-2:] == ("message", "content") and problem["input"] is None
        for problem in error.errors()
    )
    return _NO_TEXT if without_text else _NO_ANSWER


def _is_model(answering: str, asked: str) -> bool:
    """Whether that is the model asked for, or a dated snapshot that its name stands for."""
    return answering.startswith(asked) and bool(_SNAPSHOT.fullmatch(answering[len(asked) :]))


def _attempts(headers: Any) -> int:
    """How often the client sent this request: it counts its repetitions in a header."""
    return int(headers.get("x-stainless-retry-count", 0)) + 1
