"""Which events get a reason, and which never may."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from curec_assets.datasets.histories import build_histories
from curec_assets.datasets.interactions import build_interactions
from curec_assets.datasets.items import build_items
from curec_assets.datasets.sources.source import open_source
from curec_assets.datasets.splits import assign_splits
from curec_assets.evidence.collaborative import collaborative_evidence, train_likes
from curec_assets.explanation.selection import divide_policy_fold, draw
from curec_assets.reasons.selection import select_walk
from curec_assets.reward.drafting import events_to_draft
from curec_assets.settings import Profile, load_profile
from resources.models.downloads import Downloads

Tables = tuple[pl.DataFrame, pl.DataFrame]


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Tables:
    """Splits and evidence of the synthetic set."""
    profile = load_profile("smoke")
    downloads = Downloads(cache_dir=str(tmp_path_factory.mktemp("downloads")))
    source = open_source(profile.data, downloads, profile.seed)
    items = build_items(source.items())
    interactions = build_interactions(
        source.interactions(), items["item_id"], liked_threshold=profile.data.liked_threshold
    ).events
    splits = assign_splits(interactions, profile.split, profile.seed)
    histories = build_histories(interactions, profile.data.max_history)
    evidence = collaborative_evidence(
        train_likes(splits), interactions, histories, profile.evidence
    )
    return splits, evidence


@given(
    st.integers(0, 5), st.integers(1, 60), st.integers(1, 10), st.integers(3, 20), st.integers(1, 5)
)
@hypothesis_settings(max_examples=20)
def test_events_serve_one_purpose_each(
    tables: Tables, seed: int, examples: int, steps: int, users: int, rounds: int
) -> None:
    splits, evidence = tables
    profile: Profile = load_profile(
        "smoke",
        {
            "seed": seed,
            "alignment": {"reason_examples": examples},
            "policy": {"steps": steps},
            "reasons": {"users": users, "rounds": rounds},
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
    ordered = walk.sort("user_id", "round")
    steps_in_time = ordered.select(pl.col("timestamp").diff().over("user_id").drop_nulls())
    assert (steps_in_time["timestamp"] > 0).all()
    first = walk.group_by("user_id").agg(pl.col("round").min(), pl.len(), last=pl.max("round"))
    assert (first["round"] == 0).all()
    assert (first["last"] == first["len"] - 1).all()


@given(st.sets(st.text(min_size=1, max_size=4)), st.integers(0, 10), st.integers(0, 9))
def test_drawing_does_not_depend_on_order_and_grows_by_one(
    ids: set[str], count: int, seed: int
) -> None:
    chosen = draw(sorted(ids), count, seed=seed, purpose="x")
    assert chosen == draw(sorted(ids, reverse=True), count, seed=seed, purpose="x")
    assert chosen == draw(ids, count + 1, seed=seed, purpose="x")[:count]
