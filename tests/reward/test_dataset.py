import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curec_assets.networks.vocabulary import Vocabulary
from curec_assets.reward.dataset import (
    held_out_users,
    misplaced_drafts,
    other_users,
    pad_histories,
    pooled_histories,
    reward_events,
)
from resources.errors import DataError


def test_rare_and_unknown_items_share_row_zero():
    vocabulary = Vocabulary.of(["b", "a", "b", "a", "once"], least=2)
    assert vocabulary.item_ids == ("a", "b")
    assert vocabulary.rows(["a", "b", "once", "never"]) == [1, 2, 0, 0]
    assert len(vocabulary) == 3


def test_histories_keep_their_latest_items_and_their_signals():
    vocabulary = Vocabulary(["a", "b", "c"])
    rows, signals = pad_histories(
        vocabulary, [(["a", "b", "c"], [True, False, True]), ([], []), (["x"], [False])], 2
    )
    assert rows.tolist() == [[2, 3], [0, 0], [0, 0]]
    assert signals.tolist() == [[1, 2], [0, 0], [1, 0]]  # an unknown item still has a signal


@given(st.lists(st.sampled_from("abcde"), max_size=20), st.integers(0, 5))
def test_a_partner_is_always_another_user(users, seed):
    names = np.array(users, dtype=np.str_)
    partner = other_users(names, np.random.default_rng(seed))
    if len(set(users)) < 2:
        assert len(partner) == 0
    else:
        assert len(partner) == len(users)
        assert (names[partner] != names).all()


def test_every_other_user_can_be_a_partner():
    names = np.array(["a", "b", "a", "c", "b"])
    rng = np.random.default_rng(0)
    seen = {(i, int(j)) for _ in range(200) for i, j in enumerate(other_users(names, rng))}
    assert seen == {(i, j) for i in range(5) for j in range(5) if names[i] != names[j]}


def splits(**places: tuple[str, str | None]) -> pl.DataFrame:
    return pl.DataFrame(
        [(name, "u", "i", True, split, fold) for name, (split, fold) in places.items()],
        schema={
            "event_id": pl.String,
            "user_id": pl.String,
            "item_id": pl.String,
            "liked": pl.Boolean,
            "split": pl.String,
            "fold": pl.String,
        },
        orient="row",
    )


ALL = splits(
    fit=("train", "reward"),
    rl=("train", "policy"),
    gate=("validation", None),
    other=("validation", None),
    test=("test", None),
)


def drafted(*names: str) -> pl.DataFrame:
    return pl.DataFrame({"event_id": names, "why": ["because"] * len(names)})


def test_only_the_reward_fold_and_drafted_validation_events_are_read():
    assert reward_events(ALL, drafted("gate"))["event_id"].to_list() == ["fit", "gate"]


@pytest.mark.parametrize("name", ["rl", "test", "gone"])
def test_a_draft_outside_its_fold_is_refused(name):
    assert misplaced_drafts(ALL, drafted("fit", name))["event_id"].to_list() == [name]
    with pytest.raises(DataError, match=f"outside the reward fold.*{name}"):
        reward_events(ALL, drafted("fit", name))


def test_held_out_users_are_a_stable_tenth():
    users = [f"u{k}" for k in range(50)]
    kept_out = held_out_users(users, seed=1)
    assert len(kept_out) == 5
    assert kept_out == held_out_users(reversed(users * 3), seed=1)
    assert kept_out != held_out_users(users, seed=2)
    assert len(held_out_users(["a", "b"], seed=1)) == 1
    with pytest.raises(DataError, match="has 1 users"):
        held_out_users(["a", "a"], seed=1)


def test_the_pool_holds_one_longest_history_per_reward_user(telling):
    frame = telling.world.frame()
    pool = pooled_histories(frame, seed=1, size=10)
    assert len({history.user_id for history in pool}) == len(pool) == 10
    reward_users = set(frame.filter(pl.col("fold") == "reward")["user_id"])
    assert {history.user_id for history in pool} <= reward_users
    assert pool == pooled_histories(frame.reverse(), seed=1, size=10)
