"""No prompt knows its own outcome, or anything that happens at its time or later."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from curec_assets.alignment.corpus import build_corpus
from curec_assets.datasets.histories import build_histories
from curec_assets.datasets.interactions import build_interactions
from curec_assets.datasets.items import build_items
from curec_assets.datasets.sources.source import open_source
from curec_assets.datasets.splits import assign_splits
from curec_assets.evidence.collaborative import collaborative_evidence, train_likes
from curec_assets.explanation.facts import Catalogue, facts_by_event
from curec_assets.explanation.notes import note_facts
from curec_assets.explanation.prompts import note_prompt, parse_reason, reason_prompt
from curec_assets.settings import load_profile
from resources.models.downloads import Downloads

PROFILE = load_profile("smoke")


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Interactions and items of the synthetic set."""
    downloads = Downloads(cache_dir=str(tmp_path_factory.mktemp("downloads")))
    source = open_source(PROFILE.data, downloads, PROFILE.seed)
    items = build_items(source.items())
    threshold = PROFILE.data.liked_threshold
    raw = source.interactions()
    return build_interactions(raw, items["item_id"], liked_threshold=threshold).events, items


def corpus(interactions: pl.DataFrame, items: pl.DataFrame) -> pl.DataFrame:
    splits = assign_splits(interactions, PROFILE.split, PROFILE.seed)
    histories = build_histories(interactions, PROFILE.data.max_history)
    evidence = collaborative_evidence(
        train_likes(splits), interactions, histories, PROFILE.evidence
    )
    return build_corpus(splits, evidence, histories, items, PROFILE)


def prompts(interactions: pl.DataFrame, items: pl.DataFrame) -> dict[str, tuple[str, ...]]:
    """event_id → text and grammar of its reason prompt, and its note prompt."""
    splits = assign_splits(interactions, PROFILE.split, PROFILE.seed)
    histories = build_histories(interactions, PROFILE.data.max_history)
    evidence = collaborative_evidence(
        train_likes(splits), interactions, histories, PROFILE.evidence
    )
    catalogue = Catalogue(items)
    facts = facts_by_event(interactions, evidence, histories, catalogue, PROFILE.evidence)
    tastes = {
        event_id: note_facts(item_ids, likes, catalogue, PROFILE.explanation)
        for event_id, item_ids, likes in histories.select("event_id", "item_ids", "likes").rows()
    }
    found = {}
    for event_id, of_event in facts.items():
        reason, note = reason_prompt(of_event), note_prompt(tastes[event_id])
        found[event_id] = (reason.messages[1][1], reason.grammar, note.messages[1][1], note.grammar)
    return found


@given(st.floats(0.05, 0.95), st.integers(0, 1000))
@hypothesis_settings(max_examples=8)
def test_prompts_depend_on_strictly_earlier_events_only(
    toy: tuple[pl.DataFrame, pl.DataFrame], share: float, seed: int
) -> None:
    interactions, items = toy
    before = interactions["timestamp"].quantile(share, "nearest")
    late = pl.col("timestamp") >= before
    # At or after the time: other outcomes, and other items than were consumed.
    changed = interactions.with_columns(
        liked=pl.when(late).then(~pl.col("liked")).otherwise("liked"),
        rating=pl.when(late).then(6.0 - pl.col("rating")).otherwise("rating"),
    )
    shuffled = changed.filter(late)["item_id"].shuffle(seed)
    changed = pl.concat(
        [changed.filter(~late), changed.filter(late).with_columns(shuffled)]
    ).sample(fraction=1.0, shuffle=True, seed=seed)
    first, second = prompts(interactions, items), prompts(changed, items)
    early = interactions.filter(~late)["event_id"].to_list()
    assert early
    assert all(first[event_id] == second[event_id] for event_id in early)


def test_prompts_at_the_time_do_not_know_their_outcome(
    toy: tuple[pl.DataFrame, pl.DataFrame],
) -> None:
    interactions, items = toy
    last = interactions["timestamp"].max()
    flipped = interactions.with_columns(
        liked=pl.when(pl.col("timestamp") == last).then(~pl.col("liked")).otherwise("liked")
    )
    assert prompts(interactions, items) == prompts(flipped, items)


def test_the_label_decides_a_target_and_is_in_no_prompt_about_it(
    toy: tuple[pl.DataFrame, pl.DataFrame],
) -> None:
    interactions, items = toy
    rows = corpus(interactions, items)
    liked = dict(interactions.select("event_id", "liked").rows())
    assert set(rows["task"]) == {"reason", "verdict", "note"}
    for row in rows.filter(task="reason").iter_rows(named=True):
        parsed = parse_reason(row["completion"])
        assert parsed is not None
        assert (parsed.verdict == "like") == liked[row["event_id"]]
        assert "verdict" not in row["user"]
        assert "New:" not in row["user"]
