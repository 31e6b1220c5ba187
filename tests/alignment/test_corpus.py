"""The corpus teaches the evidence model's level, and no prompt knows its own outcome."""

import polars as pl
import pytest

from curec_assets.alignment.corpus import build_corpus
from curec_assets.explanation.facts import Catalogue, facts_by_event
from curec_assets.explanation.grammar import chain_grammar
from curec_assets.explanation.levels import VERDICTS
from curec_assets.explanation.prompts import parse_note, parse_reason
from curec_assets.explanation.selection import divide_policy_fold
from curec_assets.settings import load_profile
from tests.support.grammars import admits

Tables = dict[str, pl.DataFrame]
SIZES = {"reason_examples": 60, "verdict_examples": 50, "note_examples": 40}
PROFILE = load_profile("smoke", {"alignment": SIZES})


def corpus(tables: Tables) -> pl.DataFrame:
    return build_corpus(
        tables["event_splits"],
        tables["event_evidence"],
        tables["items"],
        PROFILE,
    )


def test_sizes_and_events(tables: Tables) -> None:
    rows = corpus(tables)
    counted = dict(rows.group_by("task").len().iter_rows())
    assert counted == {name.removesuffix("_examples"): size for name, size in SIZES.items()}
    fold = divide_policy_fold(tables["event_splits"], tables["event_evidence"], PROFILE)
    assert set(rows["event_id"]) == set(fold.alignment)
    assert not set(fold.alignment) & (set(fold.reinforcement) | set(fold.rest))
    known = tables["event_evidence"].filter(pl.col("probability").is_not_null())
    assert set(fold.alignment) <= set(known["event_id"])


def test_the_level_is_the_evidence_model_s_and_in_no_prompt(tables: Tables) -> None:
    levels = dict(tables["event_evidence"].select("event_id", "level").iter_rows())
    events = tables["event_splits"].select("event_id", "item_id")
    facts = facts_by_event(
        events, tables["event_evidence"], Catalogue(tables["items"]), PROFILE.explanation
    )
    notes = 0
    for row in corpus(tables).filter(pl.col("task") != "note").iter_rows(named=True):
        parsed = parse_reason(row["completion"])
        assert parsed is not None
        assert parsed.level == levels[row["event_id"]]
        assert bool(parsed.why) == (row["task"] == "reason")
        thought = row["completion"].partition("\n")[0] + "\n"
        assert admits(chain_grammar(facts[row["event_id"]]), thought)
        assert not any(sentence in row["user"] for sentence in VERDICTS)
        assert "likely" not in row["user"]
        notes += "Taste: " in row["user"]
    assert 0.3 < notes / 110 < 0.7, "prompts come with and without a note"


def test_drawn_handles_have_nothing_to_do_with_the_level(tables: Tables) -> None:
    other = tables["event_evidence"].with_columns(level=10 - pl.col("level"))
    before, after = corpus(tables), corpus({**tables, "event_evidence": other})
    verdicts = before.filter(task="verdict")
    assert 0.3 < verdicts["handles_drawn"].mean() < 0.7  # type: ignore[operator]
    assert not before.filter(pl.col("task") != "verdict")["handles_drawn"].any()
    drawn = [
        [parse_reason(text) for text in rows.filter("handles_drawn")["completion"]]
        for rows in (before, after)
    ]
    for one, same in zip(*drawn, strict=True):
        assert one and same
        assert (one.cited, one.level) == (same.cited, 10 - same.level)


def test_an_event_s_outcome_reaches_only_notes_that_are_revised_after_it(tables: Tables) -> None:
    """Labels of the last moment flipped: they are in nobody's history."""
    splits = tables["event_splits"]
    chosen = corpus(tables)
    own = splits.filter(pl.col("event_id").is_in(chosen["event_id"].to_list()))
    flipped = splits.with_columns(
        liked=pl.when(pl.col("event_id").is_in(own["event_id"].to_list()))
        .then(~pl.col("liked"))
        .otherwise("liked")
    )
    # Histories and usual rates as they were: only what reads the event's own label may change.
    before = chosen.filter(pl.col("task") != "note").drop("completion")
    changed = corpus({**tables, "event_splits": flipped})
    without_notes = changed.filter(pl.col("task") != "note").drop("completion")
    same = before.join(without_notes, on=["event_id", "task"])
    without = ~pl.col("user").str.contains("Taste: ")
    assert same.filter(without).height > 30
    assert same.filter(without & (pl.col("user") != pl.col("user_right"))).is_empty()
    revised = chosen.filter((pl.col("task") == "note") & pl.col("user").str.contains("New: "))
    liked = dict(splits.select("event_id", "liked").iter_rows())
    assert revised.height > 5
    for row in revised.iter_rows(named=True):
        assert f"New: {'liked' if liked[row['event_id']] else 'disliked'} " in row["user"]


def test_note_targets_are_notes(tables: Tables) -> None:
    for text in corpus(tables).filter(pl.col("task") == "note")["completion"]:
        assert f"Note: {parse_note(text)}." == text


@pytest.mark.parametrize("order", [0, 1])
def test_the_corpus_does_not_depend_on_the_order_of_rows(tables: Tables, order: int) -> None:
    shuffled = {
        name: table.sample(fraction=1.0, shuffle=True, seed=order) for name, table in tables.items()
    }
    assert corpus(shuffled).equals(corpus(tables))
