"""A prompt as the tokens that a model sees, the same for every engine."""

from typing import Any

from resources.errors import EngineError
from resources.generation.protocol import Prompt


def chat_tokens(tokenizer: Any, prompt: Prompt) -> tuple[int, ...]:
    """Tokens of the chat template, up to where the assistant's turn begins."""
    text = tokenizer.apply_chat_template(prompt.chat(), add_generation_prompt=True, tokenize=False)
    return tuple(tokenizer(text, add_special_tokens=False)["input_ids"])


def require_fits(tokens: tuple[int, ...], prompt: Prompt, limit: int) -> tuple[int, ...]:
    """`tokens` of `prompt`, if they are no more than `limit`. Raises `EngineError` otherwise."""
    if len(tokens) > limit:
        raise EngineError(
            f"a prompt has {len(tokens)} tokens, more than max_prompt_tokens = {limit}; raise "
            "language_model.max_prompt_tokens or show fewer history items. It begins: "
            f"{prompt.messages[-1][1][:120]!r}"
        )
    return tokens
