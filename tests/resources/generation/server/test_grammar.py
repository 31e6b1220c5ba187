"""What a server tells of tokens under a grammar, and servers that ignore it."""

import logging
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from transformers import PreTrainedTokenizerBase

from resources.errors import EngineError
from resources.generation.protocol import (
    Prompt,
    Sampling,
)
from tests.support.scripted_server import PROMPTS, Script, writing

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
