"""What the ranker reads of a candidate: retrievers' scores and places, trend, taste, the moment.

All of it is from strictly earlier events. Counts and times are logarithms, so that a linear ranker
can read them too.
"""

import numpy as np
import numpy.typing as npt

from curec_assets.evidence.event_log import Ints
from curec_assets.retrieval.proposals import Proposed, Scored
from curec_assets.retrieval.timeline import DAY, Asked, Floats, Timeline

_PLACED = ("ease_likes", "ease_all", "short", "long", "knn")
_SCORED = ("ease_likes", "ease_all", "ease_ever", "ease_last", "short", "short_last", "long", "knn")
_SIMILAR = ("text", "text_last", "attributes", "attributes_last")
_HOUR = 3600  # seconds

FEATURES: tuple[str, ...] = (
    *_SCORED,
    *(f"{name}_relative" for name in _SCORED),
    "short_cosine",
    "long_cosine",
    *(f"{name}_place" for name in _PLACED),
    *_SIMILAR,
    "share_1",
    "share_3",
    "share_7",
    "share_30",
    "share_latest",
    "likes",
    "like_rate",
    "age",
    "quiet",
    "fame_gap",
    "user_gap",
    "user_hour",
    "user_events",
)
"""Columns of `read_features`. `share_n`: the item's share of all likes of n days; `fame_gap`: its
popularity less that of the user's latest; `user_*`: seconds since the user's latest event, events
within the hour, events ever (they tell a tree which of the others to trust)."""


def read_features(
    timeline: Timeline, asked: Asked, scored: Scored, proposed: Proposed, rows: Ints, items: Ints
) -> Floats:
    """(candidates, features); `rows` (candidates,) the query of each, `items` its place."""
    at = rows, items
    activity, scores = scored.activity, scored.scores
    likes, events = activity.all_likes[at], activity.all_events[at]
    fame = np.log1p(events)
    columns: dict[str, npt.NDArray[np.floating]] = {name: scores[name][at] for name in _SCORED}
    for name in _SCORED:
        top = np.where(scored.seen, 0.0, scores[name]).max(axis=1, initial=1e-6)
        columns[f"{name}_relative"] = scores[name][at] / top[rows]
    for name in ("short", "long"):
        columns[f"{name}_cosine"] = scores[name][at] / np.sqrt(1 + events)
    for name in _PLACED:
        columns[f"{name}_place"] = -np.log1p(proposed.places[name][at])
    columns |= {name: scores[name][at] for name in _SIMILAR}
    windows = {f"share_{days}": counts for days, counts in activity.likes.items()}
    for name, counts in {**windows, "share_latest": activity.latest}.items():
        total = counts.sum(axis=1)
        columns[name] = np.log1p(1000 * counts[at] / np.maximum(total, 1)[rows])
    columns["likes"] = np.log1p(likes)
    columns["like_rate"] = (likes + 2.5) / (events + 5)
    columns["age"] = np.log1p(np.minimum(activity.age[at], 1e4))
    columns["quiet"] = np.log1p(np.minimum(activity.quiet[at], 1e4))
    columns["fame_gap"] = fame - _usual_fame(timeline, asked, activity.all_events)[rows]
    last, length = timeline.last(asked)
    columns["user_gap"] = np.log1p(np.minimum(asked.times - last, 1000 * DAY))[rows]
    columns["user_hour"] = np.log1p(timeline.since(asked, _HOUR))[rows]
    columns["user_events"] = np.log1p(length)[rows]
    return np.stack([columns[name] for name in FEATURES], axis=1).astype(np.float32)


def _usual_fame(timeline: Timeline, asked: Asked, events: Floats) -> npt.NDArray[np.floating]:
    """(queries,) mean log popularity of the user's latest ten items, as of now."""
    recent = timeline.histories(asked, latest=10)
    total = np.asarray(recent.multiply(np.log1p(events)).sum(axis=1)).ravel()
    count = np.asarray(recent.sum(axis=1)).ravel()
    return total / np.maximum(count, 1.0)
