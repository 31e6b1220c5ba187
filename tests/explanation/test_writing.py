"""Prompts that are too long lose the oldest history, never the candidate or the instruction."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curec_assets.explanation.facts import Facts, HistoryItem
from curec_assets.explanation.prompts import reason_prompt
from curec_assets.explanation.writing import fit
from resources.errors import EngineError
from resources.generation.protocol import Prompt

INSTRUCTION = "Give the evidence and the reason."


def words(prompt: Prompt) -> int:
    return sum(len(content.split()) for _, content in prompt.messages)


@given(
    st.permutations(range(9)), st.integers(0, 3), st.integers(0, 2), st.integers(0, 4),
    st.integers(30, 60),
)  # fmt: skip
def test_a_prompt_is_shortened_from_the_oldest_history(
    ages: list[int], liked: int, disliked: int, recent: int, limit: int
) -> None:
    items = [HistoryItem(f"Film {age}", ("drama", "crime"), age) for age in ages]
    split = liked + disliked
    facts = Facts(
        "The Silent Harbor", ("drama",), tuple(items[:liked]), tuple(items[liked:split]),
        recent_liked=tuple(items[split : split + recent]),
    )  # fmt: skip
    fitted, left_out = fit(facts, words, limit)
    text = reason_prompt(fitted).messages[-1][1]
    assert words(reason_prompt(fitted)) <= limit
    assert "The Silent Harbor" in text
    assert INSTRUCTION in text
    before, after = (
        {item.age for item in (*f.named_liked(), *f.named_disliked())} for f in (facts, fitted)
    )
    assert len(before) - len(after) == left_out
    assert after == set(sorted(before)[: len(after)]), "the oldest go first"
    if left_out:  # and no more than had to
        one_more = set(sorted(before)[: len(after) + 1])
        longer = facts
        while {item.age for item in (*longer.named_liked(), *longer.named_disliked())} != one_more:
            longer = longer.without_oldest() or longer
        assert words(reason_prompt(longer)) > limit


def test_a_prompt_too_long_without_history_is_an_error() -> None:
    facts = Facts("The Silent Harbor", ("drama",), (HistoryItem("Film", ()),), ())
    with pytest.raises(EngineError, match=r"'The Silent Harbor' has \d+ tokens.*= 5"):
        fit(facts, words, 5)
