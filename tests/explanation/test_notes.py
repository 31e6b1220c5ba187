"""Notes: how a user leans, from strictly earlier events alone, in a form that is read back."""

import re

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from curec_assets.explanation.composer import compose_note
from curec_assets.explanation.facts import Catalogue
from curec_assets.explanation.notes import note_facts, outcome_attributes, usual_like_rate
from curec_assets.explanation.prompts import (
    HARSHNESS,
    NoteFacts,
    note_prompt,
    parse_note,
    revision_prompt,
)
from curec_assets.settings import ExplanationSettings
from tests.support.grammars import admits

SETTINGS = ExplanationSettings()
VALUES = ("comedy", "drama", "war", "Al Pacino")
CATALOGUE = Catalogue(
    pl.DataFrame(
        {
            "item_id": [str(n) for n in range(8)],
            "title": [f"Item {n}" for n in range(8)],
            "attributes": [
                [
                    {"kind": "genre", "value": VALUES[n % 4]},
                    {"kind": "genre", "value": VALUES[n // 2]},
                ]
                for n in range(8)
            ],
        }
    )
)
HISTORIES = st.lists(st.tuples(st.integers(0, 9), st.booleans()), max_size=40)


def facts_of(history: list[tuple[int, bool]], usual: float | None = 0.5) -> NoteFacts:
    items, likes = [str(item) for item, _ in history], [like for _, like in history]
    return note_facts(items, likes, CATALOGUE, SETTINGS, usual=usual)


@given(HISTORIES, st.none() | st.floats(0, 1), st.integers(0, 7), st.booleans())
def test_composed_notes_are_in_their_grammars_and_read_back(
    history: list[tuple[int, bool]], usual: float | None, item: int, liked: bool
) -> None:
    before = facts_of(history, usual)
    note = compose_note(before)
    text = f"Note: {note}."
    assert admits(note_prompt(before).grammar, text)
    assert parse_note(text) == note
    new = outcome_attributes(str(item), CATALOGUE, SETTINGS)
    asked = revision_prompt(before, note, new, liked)
    assert admits(asked.grammar, text), "a note may stay as it is"
    assert f"Taste: {note}" in asked.messages[-1][1]
    did = ("disliked", "liked") if usual is not None else ("passed over", "chose")
    assert f"New: {did[liked]} {new[0]}" in asked.messages[-1][1]
    if usual is None:
        said = f"{note} {asked.messages[-1][1]}"
        assert not re.search("strict|generous|milder|habit|disliked", said)


@given(HISTORIES, st.floats(0, 1))
def test_who_always_likes_is_never_called_strict(
    history: list[tuple[int, bool]], usual: float
) -> None:
    liking = [(item, True) for item, _ in history]
    assert facts_of(liking, usual).mildness >= 0
    assert facts_of([(item, False) for item, _ in history], usual).mildness <= 0


def test_what_is_liked_more_and_less_than_the_rest_is_named() -> None:
    history = [(0, True)] * 10 + [(5, False)] * 10
    found = facts_of(history)
    assert compose_note(found) == f"{HARSHNESS[3]}; likes comedy more; likes drama, war less"
    assert compose_note(facts_of([])) == f"{HARSHNESS[3]}; likes none more; likes none less"
    assert compose_note(facts_of([(0, False)] * 30)).startswith("much stricter than the crowd")


def test_a_note_that_contradicts_or_repeats_itself_is_put_right() -> None:
    text = "Note: stricter than the crowd; likes war, war more; likes war, drama less."
    assert parse_note(text) == "stricter than the crowd; likes war more; likes drama less"
    assert parse_note("Note: enjoys war.") is None
    assert parse_note("") is None


@given(
    st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=1, max_size=20),
    st.integers(0, 5),
)
def test_the_usual_rate_is_of_strictly_earlier_events(
    events: list[tuple[int, bool]], moment: int
) -> None:
    def table(events: list[tuple[int, bool]]) -> pl.DataFrame:
        return pl.DataFrame(
            {
                "event_id": [str(n) for n in range(len(events))],
                "timestamp": [time for time, _ in events],
                "liked": [liked for _, liked in events],
                "rating": [1.0] * len(events),
            }
        )

    usual = usual_like_rate(table(events))
    for number, (time, _) in enumerate(events):
        before = [liked for other, liked in events if other < time]
        assert usual[str(number)] == (sum(before) / len(before) if before else 0.5)
    flipped = usual_like_rate(table([(time, like != (time >= moment)) for time, like in events]))
    early = [str(number) for number, (time, _) in enumerate(events) if time <= moment]
    assert all(usual[event_id] == flipped[event_id] for event_id in early)
