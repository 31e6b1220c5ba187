"""Full ranking: where a liked item stands in the whole catalogue minus what its user had seen."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from curec_assets.core.seeds import random_generator
from curec_assets.retrieval.item_scorers import Floats, ItemScorers

_CHUNK = 256  # queries scored at once: (chunk, items) matrices


def ranked_events(events: pl.DataFrame, split: str, count: int | None, seed: int) -> pl.DataFrame:
    """Liked events of `split` in time order; a seeded sample of `count` where that is given."""
    liked = events.filter((pl.col("split") == split) & pl.col("liked")).sort("event_id")
    size = liked.height if count is None else min(count, liked.height)
    chosen = random_generator(seed, "ranked events", split).permutation(liked.height)[:size]
    return liked[np.sort(chosen)].sort("timestamp", "event_id")


def full_ranks(
    retrievers: ItemScorers,
    score: Callable[[Floats], npt.NDArray[np.floating]],
    log: pl.DataFrame,
    queries: pl.DataFrame,
) -> Floats:
    """(queries,) expected rank of each query's `item_id` among all items not seen before.

    `score`: (queries, items) scores from the likes before, 0 or 1.
    """
    ranks = [np.zeros(0, np.float32)]
    indices = target_indices(retrievers, queries)
    for chunk in _chunks(retrievers, log, queries):
        scored = score(chunk.liked)
        ranks.append(expected_ranks(scored, indices[chunk.rows], ~chunk.seen))
    return np.concatenate(ranks)


def expected_ranks(
    scores: npt.NDArray[np.floating], target: npt.NDArray[np.int64], eligible: npt.NDArray[np.bool_]
) -> Floats:
    """(queries,) 1 + items above the target + half of those tied with it.

    `scores`, `eligible` (queries, items); the target itself always takes part.
    """
    own = np.take_along_axis(scores, target[:, None], axis=1)
    others = eligible.copy()
    np.put_along_axis(others, target[:, None], False, axis=1)
    above = ((scores > own) & others).sum(axis=1)
    tied = ((scores == own) & others).sum(axis=1)
    ranks: Floats = (1 + above + 0.5 * tied).astype(np.float32)
    return ranks


def target_indices(retrievers: ItemScorers, queries: pl.DataFrame) -> npt.NDArray[np.int64]:
    """(queries,) place of each query's `item_id` in the catalogue."""
    return _with_index(retrievers, queries).get_column("index").to_numpy()


@dataclass(frozen=True)
class _Chunk:
    rows: slice
    seen: npt.NDArray[np.bool_]  # (queries, items)
    liked: Floats  # (queries, items)


def _chunks(retrievers: ItemScorers, log: pl.DataFrame, queries: pl.DataFrame) -> Iterator[_Chunk]:
    """What each query's user had seen and liked strictly before, a few queries at a time."""
    past = _with_index(retrievers, log.select("user_id", "item_id", "liked", before="timestamp"))
    for start in range(0, queries.height, _CHUNK):
        asked = queries[start : start + _CHUNK].select("user_id", "timestamp").with_row_index("row")
        pairs = asked.join(past, on="user_id").filter(pl.col("before") < pl.col("timestamp"))
        shape = (asked.height, len(retrievers.item_ids))
        seen, liked = np.zeros(shape, dtype=np.bool_), np.zeros(shape, dtype=np.float32)
        seen[pairs["row"].to_numpy(), pairs["index"].to_numpy()] = True
        likes = pairs.filter("liked")
        liked[likes["row"].to_numpy(), likes["index"].to_numpy()] = 1.0
        yield _Chunk(slice(start, start + asked.height), seen, liked)


def _with_index(retrievers: ItemScorers, frame: pl.DataFrame) -> pl.DataFrame:
    """`frame` with the catalogue `index` of its items; items outside the catalogue are left out."""
    indices = pl.DataFrame(
        {"item_id": retrievers.item_ids, "index": range(len(retrievers.item_ids))},
        schema={"item_id": pl.String, "index": pl.Int64},
    )
    return frame.join(indices, on="item_id", how="inner", maintain_order="left")
