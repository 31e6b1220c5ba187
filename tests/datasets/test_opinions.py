"""What is taken from the text of a review, and what is not."""

import re

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curec_assets.datasets.opinions import opinions_of

_WORDS = st.sampled_from(
    (
        *("great", "boring", "story", "ending", "the", "was", "is", "not", "too many", "Jessica"),
        *("a", "and", ". ", "ann@example.org", "very", "+49 30 1234", "’", "<br/>", "ANNA", "ads"),
    )
)


def of(text: str | None) -> str | None:
    found: str | None = opinions_of(pl.Series([text], dtype=pl.Utf8))[0]
    return found


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("A great story, but the ending was dull.", "-ending +story"),
        ("Lovely photos. Too many ads, and a lack of content", "-ads -content +photos"),
        ("The recipes are not very good, the print isn’t bad", None),
        ("I didn't find any good recipes", None),
        ("Great story. Terrible story.", None),
        ("Jessica is great, and great Jessica came with awesome Bob", None),
        ("It is great for me and good as ever; great product, good time", None),
        ("beautiful<br/>pictures", None),
        ("", None),
        (None, None),
    ],
)
def test_aspects_are_the_words_that_opinions_stand_beside(
    text: str | None, said: str | None
) -> None:
    assert of(text) == said


@given(st.lists(_WORDS, max_size=30).map(" ".join))
def test_only_single_words_in_small_letters_are_kept_once_each(text: str) -> None:
    words = (of(text) or "").split()
    assert all(re.fullmatch(r"[+-][a-z]{3,20}", word) for word in words)
    assert all(re.search(rf"\b{word[1:]}\b", text) for word in words)
    assert len({word[1:] for word in words}) == len(words) <= 12


@given(st.lists(st.lists(_WORDS, max_size=8).map(" ".join) | st.none(), max_size=8))
def test_each_text_is_read_for_itself(texts: list[str | None]) -> None:
    assert opinions_of(pl.Series(texts, dtype=pl.Utf8)).to_list() == [of(text) for text in texts]
