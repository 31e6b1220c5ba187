"""Which events get a reason, and which never may."""

from itertools import pairwise

import polars as pl
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from curec_assets.datasets.histories import histories_of
from curec_assets.datasets.items import build_items
from curec_assets.datasets.sources.source import open_source
from curec_assets.datasets.splits import assign_splits
from curec_assets.explanation.selection import divide_policy_fold, draw, with_evidence
from curec_assets.reasons.schedule import shards_of
from curec_assets.reasons.selection import select_walk
from curec_assets.reward.drafting import events_to_draft
from curec_assets.settings import Profile, load_profile
from resources.models.downloads import Downloads
from tests.support.made_up_evidence import event_evidence
from tests.support.reading import events_of

Tables = tuple[pl.DataFrame, pl.DataFrame]
SPLITS = ("train", "validation", "test")


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Tables:
    """Splits of the synthetic set, with evidence that was made up."""
    profile = load_profile("smoke")
    downloads = Downloads(cache_dir=str(tmp_path_factory.mktemp("downloads")))
    source = open_source(profile.data, downloads, profile.seed)
    items = build_items(source.items())
    interactions = events_of(source, items["item_id"], profile.data.liked_threshold)
    splits = assign_splits(interactions, profile.split, profile.seed)
    histories = histories_of(interactions, interactions, profile.data.max_history)
    return splits, event_evidence(splits, histories, items)


def _profile(seed: int = 0, **values: object) -> Profile:
    return load_profile("smoke", {"seed": seed, **values})


@given(
    st.integers(0, 5),
    st.integers(1, 60),
    st.integers(3, 20),
    st.lists(st.integers(0, 40), min_size=3, max_size=3),
    st.integers(1, 5),
    st.integers(1, 40),
)
@hypothesis_settings(max_examples=20)
def test_events_serve_one_purpose_each_and_users_walk_in_time(
    tables: Tables,
    seed: int,
    examples: int,
    steps: int,
    counts: list[int],
    run_length: int,
    at_once: int,
) -> None:
    splits, evidence = tables
    sizes = dict(zip(SPLITS, counts, strict=True))
    profile = _profile(
        seed,
        alignment={"reason_examples": examples},
        policy={"steps": steps},
        reasons={
            **{f"{split}_events": count for split, count in sizes.items()},
            "run_length": run_length,
            "events_at_once": at_once,
        },
    )
    fold = divide_policy_fold(splits, evidence, profile)
    walk = select_walk(splits, evidence, fold, profile)
    drafts = events_to_draft(splits, evidence, profile)
    fitted = {*fold.alignment, *fold.reinforcement}
    assert not set(fold.alignment) & set(fold.reinforcement)
    assert not fitted & set(walk["event_id"])
    assert not fitted & set(drafts["event_id"])
    policy = set(splits.filter(pl.col("fold") == "policy")["event_id"])
    assert fitted <= policy
    assert set(walk.filter(split="train")["event_id"]) <= policy
    assert set(drafts["split"]) <= {"train", "validation"}
    assert not set(drafts.filter(split="train")["event_id"]) & policy
    assert walk["event_id"].is_unique().all()
    assert len(with_evidence(walk["event_id"], evidence)) == walk.height
    for split, count in sizes.items():
        eligible = with_evidence(splits.filter(split=split)["event_id"], evidence)
        there = len(set(eligible) & set(fold.rest)) if split == "train" else len(eligible)
        assert walk.filter(split=split).height == min(count, there)
    # A round is one time of a user and lies in one shard; later times lie in later shards.
    rounds = walk.select("user_id", "round", "timestamp", "shard").unique()
    rounds = rounds.sort("user_id", "round")
    assert not rounds.select("user_id", "round").is_duplicated().any()
    rises = rounds.select(pl.col("timestamp", "shard").diff().over("user_id")).drop_nulls()
    assert rises.select((pl.all() > 0).all()).row(0) in {(True, True), (None, None)}
    first = rounds.group_by("user_id").agg(pl.min("round"), last=pl.max("round"), times=pl.len())
    assert (first["round"] == 0).all() and (first["last"] == first["times"] - 1).all()


def test_more_events_are_drawn_without_losing_those_drawn_before(tables: Tables) -> None:
    splits, evidence = tables

    def chosen(count: int) -> set[str]:
        profile = _profile(reasons={"test_events": count, "run_length": 3})
        fold = divide_policy_fold(splits, evidence, profile)
        walk = select_walk(splits, evidence, fold, profile)
        return set(walk.filter(split="test")["event_id"])

    assert chosen(10) < chosen(20) < chosen(10**9)


@given(
    st.dictionaries(
        st.text(min_size=1, max_size=3), st.lists(st.integers(1, 4), max_size=9), max_size=30
    ),
    st.integers(1, 40),
)
def test_shards_are_as_few_as_can_be_and_none_is_needlessly_small(
    sizes: dict[str, list[int]], at_once: int
) -> None:
    shards = shards_of(sizes, at_once)
    assert {user: len(own) for user, own in shards.items()} == {u: len(s) for u, s in sizes.items()}
    assert all(a < b for own in shards.values() for a, b in pairwise(own))
    events = [0] * (1 + max((max(own) for own in shards.values() if own), default=-1))
    for user, own in shards.items():
        for shard, size in zip(own, sizes[user], strict=True):
            events[shard] += size
    assert all(events)
    # A shard that is not full holds something of every user who has anything left.
    for number, count in enumerate(events):
        left = [user for user, own in shards.items() if own and own[-1] >= number]
        assert count >= at_once or all(number in shards[user] for user in left)


def test_a_long_user_is_walked_along_with_others() -> None:
    shards = shards_of({"long": [1] * 50, **{f"u{n}": [1] * 5 for n in range(200)}}, 8)
    assert shards["long"] == list(range(50))
    counts = [sum(number in own for own in shards.values()) for number in range(50)]
    assert max(counts) == min(counts) == 21


@given(st.sets(st.text(min_size=1, max_size=4)), st.integers(0, 10), st.integers(0, 9))
def test_drawing_does_not_depend_on_order_and_grows_by_one(
    ids: set[str], count: int, seed: int
) -> None:
    chosen = draw(sorted(ids), count, seed=seed, purpose="x")
    assert chosen == draw(sorted(ids, reverse=True), count, seed=seed, purpose="x")
    assert chosen == draw(ids, count + 1, seed=seed, purpose="x")[:count]
