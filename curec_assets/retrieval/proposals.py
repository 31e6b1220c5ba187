"""The first stage: several retrievers propose, for a user at a time, what was not seen before."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from curec_assets.evidence.event_log import Ints
from curec_assets.retrieval.activity import Activity
from curec_assets.retrieval.content import Content
from curec_assets.retrieval.item_tables import ItemTables
from curec_assets.retrieval.timeline import Asked, Floats, Timeline
from curec_assets.settings import RankingSettings

WIDE = ("ease_likes", "ease_all", "short", "long", "knn", "text")
NARROW = ("likes_3", "likes_30", "new", "likes")
RETRIEVERS = (*WIDE, *NARROW)
"""In the order that decides between equal places."""

_LATEST, _RECENT = 40, 10  # events
_SLOWLY, _FAST = 0.95, 0.8  # weight of an event against the next one
_CELLS = 500_000  # of a (queries, items) matrix at once: bounds the memory


@dataclass(frozen=True)
class Scored:
    """What is known of every item for a few queries; arrays (queries, items)."""

    seen: npt.NDArray[np.bool_]
    scores: dict[str, Floats]
    """`RETRIEVERS` and more → scores; a retriever proposes nothing that has 0."""
    activity: Activity


@dataclass(frozen=True)
class Proposed:
    """Candidates of a few queries, in no order."""

    items: Ints
    """(queries, candidates) places in the catalogue; -1 where there is none."""
    places: dict[str, npt.NDArray[np.int16]]
    """Retriever → (queries, items) 0 for its best, and so on; its limit beyond that."""

    @property
    def valid(self) -> npt.NDArray[np.bool_]:
        """(queries, candidates) where there is a candidate."""
        return self.items >= 0


def score_items(timeline: Timeline, content: Content, tables: ItemTables, asked: Asked) -> Scored:
    """Every item for each query, from strictly earlier events.

    `tables` must have read only what was before every query.
    """
    moments, rows = np.unique(asked.times, return_inverse=True)
    activity = Activity.at(timeline, moments).of(rows)
    past = timeline.histories(asked)
    events = timeline.histories(asked, latest=_LATEST, decay=_SLOWLY)
    likes = timeline.histories(asked, liked=True, latest=_LATEST, decay=_SLOWLY)
    recent = timeline.histories(asked, latest=_RECENT)
    last = timeline.histories(asked, latest=1)
    scores = {
        "ease_likes": tables.scores("ease_likes", likes),
        "ease_all": tables.scores("ease_all", events),
        "ease_ever": tables.scores("ease_all", past),
        "ease_last": tables.scores("ease_all", recent),
        "short": tables.scores(
            "short", timeline.histories(asked, latest=_LATEST // 2, decay=_FAST)
        ),
        "short_last": tables.scores("short", last),
        "long": tables.scores(
            "long", timeline.histories(asked, liked=True, latest=_LATEST // 2, decay=_FAST)
        ),
        "knn": tables.scores("knn", likes),
        "text": content.text_scores(recent),
        "text_last": content.text_scores(last),
        "attributes": content.attribute_scores(timeline.histories(asked, liked=True)),
        "attributes_last": content.attribute_scores(recent),
        "likes_3": activity.likes[3],
        "likes_30": activity.likes[30],
        "likes": activity.all_likes,
        "new": activity.newness(),
    }
    return Scored(past.toarray() > 0, scores, activity)


def propose(scored: Scored, settings: RankingSettings) -> Proposed:
    """The union of what every retriever proposes; at most `settings.candidates`, best places first.

    Where nothing is known of a user, popularity proposes.
    """
    queries, size = scored.seen.shape
    places: dict[str, npt.NDArray[np.int16]] = {}
    best = np.full((queries, size), np.iinfo(np.int32).max, dtype=np.int32)
    for number, name in enumerate(RETRIEVERS):
        limit = min(settings.wide if name in WIDE else settings.narrow, size)
        values = np.where(scored.seen, 0.0, scored.scores[name])
        places[name] = _places(values, limit)
        proposed = places[name] < limit
        np.minimum(
            best, places[name].astype(np.int32) * len(RETRIEVERS) + number, out=best, where=proposed
        )
    width = min(settings.candidates, size)
    chosen = np.argsort(best, axis=1, kind="stable")[:, :width]
    nobody = np.take_along_axis(best, chosen, axis=1) == np.iinfo(np.int32).max
    return Proposed(np.where(nobody, -1, chosen), places)


def _places(values: Floats, limit: int) -> npt.NDArray[np.int16]:
    """(queries, items) place of the `limit` best that are above 0; `limit` for all others."""
    places = np.full(values.shape, limit, dtype=np.int16)
    if not limit:
        return places
    top = np.argpartition(-values, limit - 1, axis=1)[:, :limit]
    top.sort(axis=1)  # equal values in the catalogue's order
    found = np.take_along_axis(values, top, axis=1)
    order = np.argsort(-found, axis=1, kind="stable")
    ranked = np.where(np.take_along_axis(found, order, axis=1) > 0, np.arange(limit), limit)
    np.put_along_axis(
        places, np.take_along_axis(top, order, axis=1), ranked.astype(np.int16), axis=1
    )
    return places


def chunks(timeline: Timeline, rows: Ints) -> list[Ints]:
    """`rows` in parts that fit in memory as (queries, items) matrices."""
    size = min(256, max(1, _CELLS // max(timeline.size, 1)))
    return [rows[start : start + size] for start in range(0, len(rows), size)]


def behind(scored: Scored) -> Floats:
    """(queries, items) the order of what nobody proposed: EASE, then popularity."""
    popularity = scored.scores["likes"]
    found: Floats = scored.scores["ease_all"] + 1e-6 * popularity / max(popularity.max(), 1.0)
    return found
