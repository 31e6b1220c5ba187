"""From a history to the `NoteFacts` that preference notes are written from.

A user's mildness is their like rate against everybody's; how they fare with an attribute, its like
rate against their own. All rates are shrunk, and all is from strictly earlier events. Ours.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence

import polars as pl

from curec_assets.datasets.interactions import nobody_rates
from curec_assets.explanation.facts import Catalogue
from curec_assets.explanation.prompts import NoteFacts
from curec_assets.settings import ExplanationSettings

_UNKNOWN = 0.5  # the usual like rate before anything has been rated


def note_facts(
    item_ids: Sequence[str],
    likes: Sequence[bool],
    catalogue: Catalogue,
    settings: ExplanationSettings,
    *,
    usual: float | None,
) -> NoteFacts:
    """How a history leans. `usual`: everybody's like rate before its end, see `usual_like_rate`."""
    prior = settings.note_prior
    expected = _UNKNOWN if usual is None else usual
    rate = (sum(likes) + prior * expected) / (len(likes) + prior)
    seen: Counter[str] = Counter()
    liked: Counter[str] = Counter()
    for item_id, like in zip(item_ids, likes, strict=True):
        if item_id in catalogue:
            values = set(catalogue[item_id].attributes)
            seen.update(values)
            liked.update(values if like else ())
    leanings = {
        value: (liked[value] + prior * rate) / (count + prior) - rate
        for value, count in seen.items()
    }
    graded = {value: _step(leaning, settings) for value, leaning in leanings.items()}
    # By how sure it is, not by size alone: one disliked event of an actor says little.
    sureness = {
        value: abs(liked[value] - count * rate) / (count + prior) ** 0.5
        for value, count in seen.items()
    }
    order = sorted(leanings, key=lambda value: (-sureness[value], value))
    shown = settings.note_attributes
    return NoteFacts(
        mildness=None if usual is None else _step(rate - usual, settings),
        likes=tuple((v, graded[v]) for v in order if graded[v] > 0)[:shown],
        dislikes=tuple((v, graded[v]) for v in order if graded[v] < 0)[:shown],
        most_likes=settings.note_likes,
        most_dislikes=settings.note_dislikes,
    )


def outcome_attributes(
    item_id: str, catalogue: Catalogue, settings: ExplanationSettings
) -> tuple[str, ...]:
    """The attributes of the item of a new outcome, as note prompts name them."""
    return catalogue[item_id].attributes[: settings.note_attributes]


def usual_like_rate(event_splits: pl.DataFrame) -> Mapping[str, float | None]:
    """event_id → like rate of all strictly earlier events; one half where there is none.

    None where feedback is implicit: of what is drawn nobody is stricter than others.
    `event_splits`: event_id, timestamp, liked, rating.
    """
    if not nobody_rates(event_splits):
        return _rates_before(event_splits)
    return dict.fromkeys(event_splits["event_id"])


def usual_now(interactions: pl.DataFrame) -> float | None:
    """The like rate of all events; one half where there is none, None where nobody rates."""
    rate = interactions["liked"].mean()
    if nobody_rates(interactions):
        return None
    return float(rate) if isinstance(rate, float) else _UNKNOWN


def _rates_before(event_splits: pl.DataFrame) -> Mapping[str, float]:
    moments = (
        event_splits.group_by("timestamp")
        .agg(liked=pl.col("liked").cast(pl.Int64).sum(), events=pl.len())
        .sort("timestamp")
        .select(
            "timestamp",
            usual=(pl.col("liked").cum_sum() - pl.col("liked"))
            / (pl.col("events").cum_sum() - pl.col("events")),
        )
        .with_columns(pl.col("usual").fill_nan(None).fill_null(_UNKNOWN))
    )
    joined = event_splits.select("event_id", "timestamp").join(moments, on="timestamp")
    return dict(joined.select("event_id", "usual").iter_rows())


def _step(difference: float, settings: ExplanationSettings) -> int:
    """-3 to 3, of a difference between like rates."""
    size = bisect_right(settings.note_cuts, abs(difference))
    return size if difference > 0 else -size
