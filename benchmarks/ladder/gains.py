"""What reinforcement learning is after, on events that it never saw: the gains of both readers.

The readers are those of the stored reward model, the weights those of the policy's reward. The
terms of form are left out: every reason of these rungs has the form.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from benchmarks.home import Home
from benchmarks.ladder.texts import Written
from curec_assets.core.seeds import random_generator
from curec_assets.datasets.histories import histories_of
from curec_assets.evaluation.bootstrap import Interval, Resamples, interval, weighted_mean
from curec_assets.reward.scoring import RewardScorer, ScoredEvent
from curec_assets.reward.texts import Encoder, Text

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Gained:
    """One rung less another, in nats a test event, paired over users."""

    gain: Interval
    """Of both readers, weighted, less `policy.user_independent_weight` of what follows."""
    user_independent: Interval
    """The part of both gains that is not about this user."""


def compared(home: Home, own: Mapping[str, Floats], other: Mapping[str, Floats]) -> Gained | None:
    """Of two rungs by `of_rung`, on the same events. None without a test reason."""
    if not len(own["user"]):
        return None
    users = own["user"].astype(np.int64)
    size = int(users.max()) + 1
    resamples = Resamples.draw(
        random_generator(home.profile.seed, "ladder gains"),
        users=size,
        seeds=1,
        samples=home.profile.recommender.bootstrap_samples,
    ).users
    counts = np.bincount(users, minlength=size).astype(np.float64)

    def paired(term: str) -> Interval:
        lead = own[term] - other[term]
        sums = np.bincount(users, weights=lead, minlength=size).astype(np.float64)
        return interval(weighted_mean(resamples, sums, counts))

    return Gained(paired("gain"), paired("user_independent"))


def of_rung(home: Home, rung: Written, encoder: Encoder, device: str) -> Mapping[str, Floats]:
    """By term, of every test event with a reason; and `user`, its number."""
    log = home.warehouse.read("event_splits")
    of_test = log.filter(split="test").join(rung.reasons, on="event_id", how="semi")
    histories = histories_of(of_test, log, home.profile.data.max_history)
    rows = (
        rung.reasons.filter(split="test")
        .join(of_test.select("event_id", "item_id"), on="event_id", maintain_order="left")
        .join(histories.drop("user_id"), on="event_id", maintain_order="left")
    )
    events = [
        ScoredEvent(item, tuple(item_ids), tuple(likes), user)
        for item, item_ids, likes, user in rows.select(
            "item_id", "item_ids", "likes", "user_id"
        ).rows()
    ]
    texts: Sequence[Text] = [Text(v or "", w or "") for v, w in rows["verdict", "why"].rows()]
    outcomes = rows["liked"].to_list()
    scorer = RewardScorer.load(home.current("reward_model"), encoder, device=device)
    weights = home.profile.policy
    user_independent = weights.recommender_weight * scorer.user_independent_gain(
        events, texts, outcomes
    ) + weights.reader_weight * scorer.reader_user_independent_gain(events, texts)
    return {
        "user": (rows["user_id"].rank("dense") - 1).cast(pl.Float64).to_numpy(),
        "user_independent": user_independent,
        "gain": weights.recommender_weight * scorer.gain(events, texts, outcomes)
        + weights.reader_weight * scorer.reader_gain(texts, outcomes)
        - weights.user_independent_weight * user_independent,
    }
