"""How much each item was liked of late, at any moment, and how new it is."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from curec_assets.evidence.event_log import Ints
from curec_assets.retrieval.timeline import DAY, Floats, Timeline

WINDOWS = (1, 3, 7, 30)  # days
LATEST = 500  # events
NEW = 30  # days since the first event


@dataclass(frozen=True)
class Activity:
    """Of every item before each of some moments; arrays (moments, items)."""

    likes: dict[int, Floats]
    """Days → likes within them."""
    latest: Floats
    """Likes among the latest `LATEST` events of everybody."""
    all_likes: Floats
    all_events: Floats
    age: Floats
    """Days since the item's first event; infinite before it."""
    quiet: Floats
    """Days since the item's last like; infinite before the first."""

    @classmethod
    def at(cls, timeline: Timeline, times: Ints) -> "Activity":
        """Before each of the times, which must rise."""
        ends = timeline.before(times)
        liked = timeline.items[timeline.likes]
        like_times = timeline.times[timeline.likes]
        like_ends = np.searchsorted(timeline.likes, ends)

        def count(begins: Ints) -> Floats:
            return _counts(liked, begins, like_ends, timeline.size)

        within = {
            days: count(np.searchsorted(like_times, times - days * DAY, side="left"))
            for days in WINDOWS
        }
        latest = count(np.searchsorted(timeline.likes, ends - LATEST, side="left"))
        first = np.full(timeline.size, np.inf)
        first[timeline.items[::-1]] = timeline.times[::-1]  # the earliest is written last
        age = (times[:, None] - first) / DAY
        quiet = np.empty((len(times), timeline.size))
        last, done = np.full(timeline.size, -np.inf), 0
        for row, end in enumerate(like_ends):
            last[liked[done:end]] = like_times[done:end]  # the latest is written last
            quiet[row], done = (times[row] - last) / DAY, end
        return cls(
            within,
            latest,
            _running_counts(liked, like_ends, timeline.size),
            _running_counts(timeline.items, ends, timeline.size),
            np.where(age > 0, age, np.inf).astype(np.float32),
            quiet.astype(np.float32),
        )

    def of(self, rows: Ints) -> "Activity":
        """One row for each query, from the row of its moment."""
        return Activity(
            {days: likes[rows] for days, likes in self.likes.items()},
            self.latest[rows],
            self.all_likes[rows],
            self.all_events[rows],
            self.age[rows],
            self.quiet[rows],
        )

    def newness(self) -> Floats:
        """Above 0 for items that appeared within `NEW` days: likes of the last 7 among them."""
        new = np.isfinite(self.age) & (self.age <= NEW)
        return np.where(new, 0.1 + self.likes[7] + 1 / (1 + self.age), 0.0).astype(np.float32)


def _counts(items: Ints, begins: Ints, ends: Ints, size: int) -> Floats:
    """(moments, items) how often each item is in `items[begin:end]`."""
    counts = np.empty((len(ends), size), dtype=np.float32)
    for row, (begin, end) in enumerate(zip(begins, ends, strict=True)):
        counts[row] = np.bincount(items[begin:end], minlength=size)
    return counts


def _running_counts(items: Ints, ends: Ints, size: int) -> Floats:
    """(moments, items) how often each item is in `items[:end]`; the ends rise."""
    counts: npt.NDArray[np.float32] = np.empty((len(ends), size), dtype=np.float32)
    total, done = np.zeros(size, dtype=np.float32), 0
    for row, end in enumerate(ends):
        total = total + np.bincount(items[done:end], minlength=size)
        counts[row], done = total, end
    return counts
