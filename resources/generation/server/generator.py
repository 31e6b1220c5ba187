"""`ServerFactory`: the generator that asks an OpenAI-compatible server, such as `vllm serve`.

The model is not in this process: only the base model's tokenizer is, to count a prompt's tokens and
to tell which generated tokens the grammar constrained. Where the server's tokens are not the base
model's (a teacher of another family), or it does not tell them, completions come without tokens.
"""

import logging
import math
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from resources.errors import ConfigError, EngineError
from resources.generation.chat_tokens import chat_tokens, require_fits
from resources.generation.grammar_tail import (
    ConstrainedPart,
    constrained_part,
    tokens_reaching,
    with_free_tail,
)
from resources.generation.protocol import (
    Completion,
    GeneratorOptions,
    Prompt,
    Sampling,
    ServerEndpoint,
    TextGenerator,
)
from resources.generation.scale import TokenTexts
from resources.generation.server.client import Answer, Choice, ServerClient, connect
from resources.models.checkpoint import BaseCheckpoint
from resources.models.served_name import served_model_name

if TYPE_CHECKING:
    from anyio.from_thread import BlockingPortal

    from resources.generation.grammar_compiler import GrammarCompiler

log = logging.getLogger(__name__)

# A server's own defaults may come from the model's generation_config.json: ours are sent instead.
_PLAIN_SAMPLING = {"top_k": 0, "min_p": 0.0, "repetition_penalty": 1.0}
_PROBE = Prompt((("user", "Hello"),))


class ServerFactory:
    """Opens generators that ask the server named in their options."""

    @contextmanager
    def open(
        self, base: BaseCheckpoint, adapter: Path | None, options: GeneratorOptions
    ) -> Iterator[TextGenerator]:
        """A generator on the served model, once the server has shown that it is the one asked for.

        `base` gives the tokenizer. The model is `options.server.model` or, where that is empty, the
        one that `served_model_name(adapter)` names. Raises `ConfigError` when there is no name,
        and `EngineError` when the server is not there, serves another model, or one on another
        base.
        """
        from anyio.from_thread import start_blocking_portal
        from transformers import AutoTokenizer

        endpoint = options.server
        if endpoint is None or not endpoint.url:
            raise ConfigError("engine 'server' has no address; set server.url")
        name = _wanted_model(endpoint, adapter)
        tokenizer = AutoTokenizer.from_pretrained(
            base.path, trust_remote_code=base.trust_remote_code
        )
        # The event loop has a thread of its own, so that this works inside a running loop too
        # (a notebook), and is cancelled at the end of the block whatever ends it.
        with (
            start_blocking_portal() as portal,
            portal.wrap_async_context_manager(connect(endpoint)) as client,
        ):
            server = ServerClient(endpoint, client)
            _require_served(name, portal.call(server.models), endpoint, adapter)
            generator = ServerGenerator(
                server, portal, name, tokenizer, endpoint, options.max_prompt_tokens
            )
            generator.compare_tokens(required=adapter is not None)
            yield generator


class ServerGenerator:
    """A served model that continues chats."""

    def __init__(
        self,
        server: ServerClient,
        portal: "BlockingPortal",
        model: str,
        tokenizer: Any,
        endpoint: ServerEndpoint,
        max_prompt_tokens: int,
    ) -> None:
        self.engine = f"server {model}"
        self._server = server
        self._portal = portal
        self._model = model
        self._tokenizer = tokenizer
        self._endpoint = endpoint
        self._max_prompt_tokens = max_prompt_tokens
        self._texts: TokenTexts | None = None
        self._grammars: GrammarCompiler | None = None
        self._warned = False

    def compare_tokens(self, *, required: bool) -> None:
        """See whether the server reads a chat as the base model does: template and tokenizer.

        Only then its token ids mean anything here. Raises `EngineError` if that is `required` and
        it reads it otherwise.
        """
        answer = self._portal.call(self._ask, _PROBE, Sampling(1))
        if tuple(answer.prompt_token_ids or ()) == chat_tokens(self._tokenizer, _PROBE):
            self._texts = TokenTexts(self._tokenizer)
        elif required and answer.prompt_token_ids is not None:
            raise EngineError(
                f"the server at {self._endpoint.url} turns a chat into other tokens than the base "
                f"model {self._tokenizer.name_or_path}, so {self._model!r} stands on another base "
                "or chat template there; serve it on the base model that it was trained on"
            )

    def prompt_tokens(self, prompt: Prompt) -> int:
        """Tokens of the prompt under the base model's chat template."""
        return len(chat_tokens(self._tokenizer, prompt))

    def write(self, prompts: Sequence[Prompt], sampling: Sampling) -> list[Completion]:
        """`sampling.samples` completions per prompt, in the order of the prompts."""
        done = dict(self.write_each(prompts, sampling))
        return [completion for index in range(len(prompts)) for completion in done[index]]

    def write_each(
        self, prompts: Sequence[Prompt], sampling: Sampling
    ) -> Iterator[tuple[int, list[Completion]]]:
        """The position of a prompt and its completions, as they come.

        When a request fails for good no new one is sent, those under way are still delivered, and
        `EngineError` is raised.
        """
        for prompt in prompts:
            tokens = chat_tokens(self._tokenizer, prompt)
            require_fits(tokens, prompt, self._max_prompt_tokens)
        # Prompts that begin alike follow each other, for the server's prefix cache.
        order = sorted(range(len(prompts)), key=lambda index: prompts[index].messages)
        waiting = iter(order)
        running: dict[Future[Answer], int] = {}
        done: SimpleQueue[Future[Answer]] = SimpleQueue()
        failure: BaseException | None = None
        disobedient = 0

        def start(count: int) -> None:
            for index in islice(waiting, count):
                future = self._portal.start_task_soon(self._ask, prompts[index], sampling)
                running[future] = index
                future.add_done_callback(done.put)

        try:
            start(self._endpoint.concurrency)
            while running:
                future = _next(done)
                index = running.pop(future)
                error = future.exception()
                failure = failure or error
                if error is None:
                    written = self._completions(prompts[index], sampling, future.result())
                    disobedient += sum(obeyed is False for _, obeyed in written)
                    yield index, [completion for completion, _ in written]
                if failure is None:
                    start(1)
        finally:
            for future in running:
                future.cancel()
        self._warn(disobedient, len(prompts) * sampling.samples)
        if failure is not None:
            raise failure

    async def _ask(self, prompt: Prompt, sampling: Sampling) -> Answer:
        extra: dict[str, Any] = {**_PLAIN_SAMPLING, "return_token_ids": True}
        if prompt.grammar:
            extra["structured_outputs"] = {"grammar": _applied(prompt)}
        if self._texts and prompt.scale:
            extra |= {"logprobs": True, "return_tokens_as_token_ids": True}
            extra["logprob_token_ids"] = sorted(self._texts.scale(prompt.scale).deciding)
        if sampling.stop:
            extra["stop"] = list(sampling.stop)
        return await self._server.chat(
            sampling.distinct,
            model=self._model,
            messages=prompt.chat(),
            max_tokens=sampling.max_new_tokens,
            temperature=sampling.temperature,
            top_p=1.0,
            seed=prompt.seed,  # vLLM gives sample k the seed + k
            extra_body=extra,
        )

    def _completions(
        self, prompt: Prompt, sampling: Sampling, answer: Answer
    ) -> list[tuple[Completion, bool | None]]:
        """Each completion, and whether it obeyed its grammar (None without one)."""
        same = self._texts is not None
        written = []
        for choice in answer.choices:
            text = choice.message.content
            # The limit may have cut the last character.
            part = (
                constrained_part(prompt.grammar, text.rstrip("\ufffd"), prompt.scale)
                if prompt.grammar
                else None
            )
            tokens = tuple(choice.token_ids or ()) if same else ()
            constrained = 0
            if part is not None:
                constrained = len(tokens)
                if part.complete and prompt.open_end:
                    constrained = tokens_reaching(self._tokenizer, tokens, part.length)
            completion = Completion(
                text=text,
                token_ids=tokens,
                constrained=tuple(index < constrained for index in range(len(tokens))),
                finished=choice.finish_reason == "stop",
                scale=self._scale(prompt, choice, tokens, part),
                prompt_ids=tuple(answer.prompt_token_ids or ()) if same else (),
                allowed=self._allowed(prompt, tokens) if sampling.keep_allowed else (),
            )
            written.append((completion, part is not None if prompt.grammar else None))
        return written * (sampling.samples // sampling.distinct)

    def _scale(
        self, prompt: Prompt, choice: Choice, tokens: tuple[int, ...], part: ConstrainedPart | None
    ) -> tuple[float, ...] | None:
        if self._texts is None or part is None or part.scale_at is None:
            return None
        words = self._texts.scale(prompt.scale)
        position = words.position(tokens, tokens_reaching(self._tokenizer, tokens, part.scale_at))
        if position is None or position >= len(choice.positions):
            return None
        at = {entry.token: entry.logprob for entry in choice.positions[position].top_logprobs}

        def weight(token: int) -> float:
            name = f"token_id:{token}"
            return math.exp(at[name]) if name in at else 0.0

        return words.shares(weight)

    def _allowed(self, prompt: Prompt, tokens: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
        if not prompt.grammar:
            return ((),) * len(tokens)
        if self._grammars is None:
            from resources.generation.grammar_compiler import GrammarCompiler

            self._grammars = GrammarCompiler(self._tokenizer, len(self._tokenizer))
        return self._grammars.allowed(_applied(prompt), tokens)

    def _warn(self, disobedient: int, total: int) -> None:
        if disobedient and not self._warned:
            self._warned = True
            log.warning(
                "%d of %d texts of %r at %s do not obey their grammar: it seems that the server "
                "ignores structured_outputs, which vLLM obeys",
                disobedient,
                total,
                self._model,
                self._endpoint.url,
            )


def _next(done: SimpleQueue[Future[Answer]]) -> Future[Answer]:
    """The next that is done. Waits in short spells, between which Ctrl-C is heard: once polars is
    imported (it handles signals with SA_RESTART) it does not end a wait on a lock.
    """
    while True:
        with suppress(Empty):
            return done.get(timeout=0.5)


def _wanted_model(endpoint: ServerEndpoint, adapter: Path | None) -> str:
    if endpoint.model:
        return endpoint.model
    if adapter is None:
        raise ConfigError(
            f"no model is named for the server at {endpoint.url}, and without an adapter none can "
            "be derived; set server.model to a name that it serves"
        )
    return served_model_name(adapter)


def _require_served(
    name: str, served: Sequence[str], endpoint: ServerEndpoint, adapter: Path | None
) -> None:
    if name in served:
        return
    fix = "start it with that model, or set server.model to what it serves"
    if adapter is not None:
        fix = (
            "the policy may be newer than the server. Export it with `curec export-policy`, start "
            f"`vllm serve FOLDER --served-model-name {name}`"
        )
    raise EngineError(
        f"the server at {endpoint.url} serves {', '.join(map(repr, served)) or 'no model'}, not "
        f"{name!r}, which was asked for; {fix}"
    )


def _applied(prompt: Prompt) -> str:
    """The grammar that the whole output obeys."""
    return with_free_tail(prompt.grammar) if prompt.open_end else prompt.grammar
