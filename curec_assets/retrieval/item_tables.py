"""What goes with what: tables of items by items, learned from the events before one moment.

- EASE (Steck, WWW 2019) on likes, and on all interactions.
- Item k-NN: cosine of who liked what, shrunk, with few neighbours.
- Transitions: what the same person turned to next within a session, and what a person who liked
  this liked next, within weeks (our choice).
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import polars as pl

from curec_assets.evidence.ease import ease
from curec_assets.evidence.event_log import UNKNOWN, Ints
from curec_assets.retrieval.item_scorers import nearest
from curec_assets.retrieval.timeline import DAY, Floats, Timeline
from curec_assets.settings import RankingSettings
from resources.errors import ArtifactError

TABLES = ("ease_likes", "ease_all", "knn", "short", "long")

_LEAST_EVENTS = 2  # of an item in the tables: one event links it to a single person
_SHORT_GAP, _SHORT_STEPS = 1800, 12  # seconds between events of a session; events ahead
_LONG_GAP, _LONG_STEPS = 60 * DAY, 40


@dataclass(frozen=True)
class ItemTables:
    """Square tables over the items they know; row = an item of the user, column = scored item."""

    before: int
    """Only events strictly before this time were read."""
    known: Ints
    """(known,) places in the catalogue."""
    tables: dict[str, Floats]
    """`TABLES` → (known, known)."""

    @classmethod
    def fit(cls, timeline: Timeline, before: int, settings: RankingSettings) -> Self:
        """From the events strictly before a time; the most frequent items are known."""
        end = int(np.searchsorted(timeline.times, before, side="left"))
        counts = np.bincount(timeline.items[:end], minlength=timeline.size)
        chosen = np.argsort(-counts, kind="stable")[: settings.table_items]
        known = np.sort(chosen[counts[chosen] >= _LEAST_EVENTS])
        place = np.full(timeline.size, -1)
        place[known] = np.arange(len(known))
        kept = np.flatnonzero(place[timeline.items[:end]] >= 0)
        users, items = timeline.users[kept], place[timeline.items[kept]]
        times, liked = timeline.times[kept], timeline.liked[kept]
        all_events = _matrix(users, items, len(known))
        likes = _matrix(users[liked], items[liked], len(known))
        tables = {
            "ease_likes": ease(likes, settings.ease_l2_likes),
            "ease_all": ease(all_events, settings.ease_l2_all),
            "knn": nearest(likes, settings.neighbours),
            "short": _transitions(users, items, times, len(known), _SHORT_GAP, _SHORT_STEPS),
            "long": _transitions(
                users[liked], items[liked], times[liked], len(known), _LONG_GAP, _LONG_STEPS
            ),
        }
        return cls(before, known, tables)

    def scores(self, table: str, histories: Any) -> Floats:
        """(queries, items) sum of the rows of what `histories` (queries, items; sparse) weighs."""
        scores = np.zeros(histories.shape, dtype=np.float32)
        if len(self.known):
            scores[:, self.known] = histories[:, self.known] @ self.tables[table]
        return scores

    def save(self, folder: Path, timeline: Timeline) -> None:
        """Write `tables.safetensors` and `tables.json`."""
        from safetensors.numpy import save_file

        save_file(self.tables, folder / "tables.safetensors")
        values = {"before": self.before, "known": [timeline.item_ids[at] for at in self.known]}
        (folder / "tables.json").write_text(json.dumps(values), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path, timeline: Timeline) -> Self:
        """The inverse of `save`, for a catalogue that may have changed. Raises `ArtifactError`."""
        from safetensors.numpy import load_file

        try:
            tables = load_file(folder / "tables.safetensors")
            values = json.loads((folder / "tables.json").read_text(encoding="utf-8"))
            known = timeline.item_codes(pl.Series(values["known"], dtype=pl.String))
            still = np.flatnonzero(known != UNKNOWN)
            cut = {name: tables[name][np.ix_(still, still)] for name in TABLES}
            return cls(int(values["before"]), known[still], cut)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ArtifactError(
                f"the tables of items in {folder} cannot be read ({error!r}); move the folder away "
                "and materialise the asset 'recommender_ranking' again"
            ) from error


def _matrix(users: Ints, items: Ints, size: int) -> Any:
    """(users, items) sparse, 1 where there is an event."""
    from scipy.sparse import csr_matrix

    shape = (int(users.max(initial=-1)) + 1, size)
    matrix = csr_matrix((np.ones(len(users), dtype=np.float32), (users, items)), shape=shape)
    matrix.data[:] = 1.0  # an item seen twice counts once
    return matrix


def _transitions(users: Ints, items: Ints, times: Ints, size: int, gap: int, steps: int) -> Floats:
    """(items, items) how often the column followed the row, the next event counting most.

    Events of one second have no order: they follow each other both ways.
    """
    counts = np.zeros(size * size, dtype=np.float32)
    order = np.argsort(users, kind="stable")
    users, items, times = users[order], items[order], times[order]
    for step in range(1, steps + 1):
        waited = times[step:] - times[:-step]
        near = (users[step:] == users[:-step]) & (waited <= gap)
        first, second = items[:-step][near], items[step:][near]
        together = waited[near] == 0
        pairs = np.concatenate([first * size + second, (second * size + first)[together]])
        counts += np.bincount(pairs, minlength=size * size).astype(np.float32) / step
    table = counts.reshape(size, size)
    np.fill_diagonal(table, 0.0)
    return table / np.maximum(table.sum(axis=1, keepdims=True), 1.0) if size else table
