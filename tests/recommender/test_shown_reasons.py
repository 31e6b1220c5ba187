"""Reasons for what is shown: honest levels, the numbers behind them, notes as of now."""

from collections.abc import Sequence

import polars as pl
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from curec_assets.core.seeds import random_generator
from curec_assets.evidence.schema import EVIDENCE
from curec_assets.explanation.composer import compose
from curec_assets.explanation.facts import Catalogue, Facts
from curec_assets.explanation.levels import verdict_sentence
from curec_assets.explanation.prompts import completion, parse_note, reason_prompt
from curec_assets.reasons.judged import requests_for, with_reasons
from curec_assets.recommender.shown_reasons import notes_now, users_to_serve
from curec_assets.settings import load_profile
from resources.generation.protocol import Completion, Prompt, Sampling

PROFILE = load_profile("smoke")
ITEMS = pl.DataFrame(
    {
        "item_id": ["a", "b", "c"],
        "title": ["Heat", "Alien", "Fargo"],
        "attributes": [[{"kind": "genre", "value": "drama"}]] * 3,
    }
)
CATALOGUE = Catalogue(ITEMS)
LOG = pl.DataFrame(
    {
        "event_id": ["1", "2", "3"],
        "user_id": ["u", "u", "v"],
        "item_id": ["a", "b", "a"],
        "rating": [5.0, 1.0, 4.0],
        "liked": [True, False, True],
        "timestamp": [10, 20, 30],
    }
)
SHOWN = pl.DataFrame(
    {"user_id": ["u", "v"], "rank": [1, 1], "item_id": ["c", "b"], "score": [0.7, 0.4]}
)


def evidence_of(levels: Sequence[int]) -> pl.DataFrame:
    facts = [
        {"kind": "crowd", "strength": 3, "contribution": 0.9, "count": 90, "of": 100},
        {"kind": "related", "value": "a", "liked": True, "strength": -2, "contribution": -0.4},
    ]
    rows = [{"probability": (each - 0.5) / 9, "level": each, "facts": facts} for each in levels]
    judged = pl.DataFrame(rows, schema=EVIDENCE)
    return judged.select(pl.lit(31, dtype=pl.Int64).alias("timestamp"), pl.all())


class Likely:
    """Says of everything that it is almost certainly liked."""

    engine = "likely"

    def __init__(self, requests: Sequence[Facts]) -> None:
        self._facts = {reason_prompt(facts).messages: facts for facts in requests}

    def write(self, prompts: Sequence[Prompt], sampling: Sampling) -> list[Completion]:
        texts = [
            completion(compose(self._facts[prompt.messages], 9, random_generator(prompt.seed)))
            for prompt in prompts
        ]
        return [Completion(text, (), (), True, None) for text in texts]

    def prompt_tokens(self, prompt: Prompt) -> int:
        return 1


@given(st.lists(st.integers(1, 9), min_size=2, max_size=2))
@hypothesis_settings(max_examples=20)
def test_an_item_is_shown_with_the_level_that_the_evidence_gives_it(levels: list[int]) -> None:
    evidence = evidence_of(levels)
    notes = ["as strict as the crowd; likes none more; likes none less", ""]
    requests = requests_for(SHOWN, evidence, notes, CATALOGUE, PROFILE)
    assert [request.level for request in requests] == levels
    assert requests[0].facts.note == notes[0] and not requests[1].facts.note
    generator = Likely([request.facts for request in requests])
    rows = with_reasons(SHOWN, evidence, notes, generator, CATALOGUE, PROFILE, "p1")
    assert rows.select(SHOWN.columns).equals(SHOWN)
    assert rows["title"].to_list() == ["Fargo", "Alien"]
    assert rows["evidence_probability"].to_list() == evidence["probability"].to_list()
    for row, level in zip(rows.iter_rows(named=True), levels, strict=True):
        assert abs(row["level"] - level) <= PROFILE.reasons.max_level_gap
        assert row["source"] == ("policy" if level >= 8 else "composer")
        assert row["verdict"] == verdict_sentence(row["level"])
        assert row["reason"] == f"{row['verdict']} {row['why']}"
        assert row["grounded"] and row["policy_fingerprint"] == "p1"
        for fact in row["facts"]:
            known = {"crowd": ("", 90, 100), "related": ("Heat", None, None)}
            assert (fact["value"], fact["count"], fact["of"]) == known[fact["kind"]]


def test_nothing_shown_is_an_empty_table_with_its_columns() -> None:
    empty = with_reasons(SHOWN.clear(), evidence_of([]), [], Likely([]), CATALOGUE, PROFILE, "p")
    evidence, notes = evidence_of([9, 9]), ["", ""]
    requests = requests_for(SHOWN, evidence, notes, CATALOGUE, PROFILE)
    likely = Likely([request.facts for request in requests])
    full = with_reasons(SHOWN, evidence, notes, likely, CATALOGUE, PROFILE, "p")
    assert empty.schema == full.schema


def test_a_note_is_the_latest_stored_one_or_what_the_history_says() -> None:
    reasons = pl.DataFrame(
        {"event_id": ["1", "2"], "user_id": ["u", "u"], "timestamp": [20, 10], "note": ["n2", "n1"]}
    )
    notes = notes_now(["u", "v", "w"], LOG, reasons, CATALOGUE, PROFILE)
    assert notes["u"] == "n2"
    for user in ("v", "w"):
        assert parse_note(f"Note: {notes[user]}.") == notes[user]
    assert notes["v"].startswith(("milder", "a little milder"))
    assert notes["w"].startswith("as strict as")


@pytest.mark.parametrize(("count", "expected"), [(1, ["v"]), (5, ["v", "u"])])
def test_the_latest_active_users_are_served(count: int, expected: list[str]) -> None:
    assert users_to_serve(LOG, count) == expected
