"""Reviews: what people praise in the candidate and find fault with, and what the user cares about.

Of the words that earlier reviews have (`datasets.opinions`): the balance of praise and fault in
those of the item, and the same over what the user's own reviews speak of, as explicit factor models
weigh an item's qualities by a user's attention (Zhang et al., SIGIR 2014). Formulas are ours.
"""

import numba
import numpy as np
import polars as pl

from curec_assets.datasets.opinions import PRAISED
from curec_assets.evidence.event_log import Codes, EventLog, Floats, Ints, Queries

COLUMNS = {"review_balance": "reviews", "review_cared_balance": "reviews"}
"""Each number with the kind of fact (`schema.KINDS`) that it belongs to."""
NAMED = 6
"""Integers for a person: code of the word that speaks most for the item (-1: none), how many praise
it, and how many speak of it; the same against the item."""
_MOST = 500  # latest events of an item and of a user that are looked at
_CLEAR = 0.6  # share of those who speak of a word that agree
_COMMON = 0.125  # of all mentions: a word beyond is what all items here are ("magazine")


class Reviews:
    """What earlier reviews say of the candidate; `read`: `COLUMNS`, all 0 where there are none."""

    columns = COLUMNS

    def __init__(self, log: EventLog, strength: float) -> None:
        """`strength`: mentions' worth of prior (zero) in every balance."""
        self._log = log
        self._strength = strength
        spoken = log.opinions
        words = pl.DataFrame({"word": []}, schema={"word": pl.Utf8})
        if spoken is not None:
            words = (
                pl.DataFrame({"said": spoken.str.split(" ")})
                .with_row_index("event")
                .explode("said")
                .drop_nulls("said")
                .with_columns(word=pl.col("said").str.slice(1))
            )
        self.words = words["word"].unique().sort()
        """The word of each code."""
        if spoken is not None:
            self._starts = np.searchsorted(words["event"].to_numpy(), np.arange(len(log) + 1))
            self._said = self.words.search_sorted(words["word"]).to_numpy().astype(np.int32)
            self._praised = words["said"].str.starts_with(PRAISED).to_numpy()

    def read(self, queries: Queries) -> Floats:
        """(queries, columns)."""
        return self._all(queries)[0]

    def name(self, queries: Queries) -> Ints:
        """(queries, `NAMED`)."""
        return self._all(queries)[1]

    def _all(self, queries: Queries) -> tuple[Floats, Ints]:
        numbers = np.zeros((len(queries), len(COLUMNS)))
        named = np.zeros((len(queries), NAMED), dtype=np.int64)
        named[:, 0] = named[:, 3] = -1
        if not len(self.words):
            return numbers, named
        log = self._log
        begin, end = log.by_item.before(queries.items, queries.times)
        own_begin, own_end = log.by_user.before(queries.users, queries.times)
        _read(
            np.argsort(queries.times, kind="stable"),
            log.earlier(queries.times),
            (log.by_item.events, np.maximum(begin, end - _MOST), end),
            (log.by_user.events, np.maximum(own_begin, own_end - _MOST), own_end),
            log.users,
            (self._starts, self._said, self._praised),
            len(self.words),
            self._strength,
            numbers,
            named,
        )
        return numbers, named


@numba.njit(cache=True)
def _read(
    order: Ints,
    earlier: Ints,
    of_item: tuple[Codes, Ints, Ints],
    of_user: tuple[Codes, Ints, Ints],
    users: Codes,
    said: tuple[Ints, Codes, "np.ndarray[tuple[int], np.dtype[np.bool_]]"],
    n_words: int,
    strength: float,
    numbers: Floats,
    named: Ints,
) -> None:
    """Fills `numbers` and `named`. Queries in time order (`order`), so that how often a word is
    spoken of at all is counted up to each.
    """
    starts, words, praised = said
    item_events, begins, ends = of_item
    user_events, own_begins, own_ends = of_user
    praise, fault, cared = np.zeros(n_words), np.zeros(n_words), np.zeros(n_words)
    first = np.full(n_words, -1, dtype=np.int64)
    several = np.zeros(n_words, dtype=np.bool_)
    usual = np.zeros(n_words)
    added, mentions = 0, 0.0
    for query in order:
        while added < earlier[query]:
            for at in range(starts[added], starts[added + 1]):
                usual[words[at]] += 1.0
                mentions += 1.0
            added += 1
        touched = []
        for place in range(own_begins[query], own_ends[query]):
            event = user_events[place]
            for at in range(starts[event], starts[event + 1]):
                cared[words[at]] += 1.0
        for place in range(begins[query], ends[query]):
            event = item_events[place]
            for at in range(starts[event], starts[event + 1]):
                word = words[at]
                if first[word] < 0:
                    first[word] = users[event]
                    touched.append(word)
                elif first[word] != users[event]:
                    several[word] = True
                if praised[at]:
                    praise[word] += 1.0
                else:
                    fault[word] += 1.0
        all_praise, all_fault, weight, balance = 0.0, 0.0, 0.0, 0.0
        best, worst = 0.0, 0.0
        for word in touched:
            of = praise[word] + fault[word]
            each = (praise[word] - fault[word]) / (of + strength)
            all_praise += praise[word]
            all_fault += fault[word]
            weight += cared[word]
            balance += cared[word] * each
            if not several[word] or usual[word] > _COMMON * mentions:
                continue
            # What few things are praised for tells more than what all are.
            telling = each * np.log1p(mentions / usual[word])
            if telling > best and praise[word] >= _CLEAR * of:
                best = telling
                named[query, 0] = word
                named[query, 1], named[query, 2] = int(praise[word]), int(of)
            if telling < worst and fault[word] >= _CLEAR * of:
                worst = telling
                named[query, 3] = word
                named[query, 4], named[query, 5] = int(praise[word]), int(of)
        total = all_praise + all_fault
        numbers[query, 0] = (all_praise - all_fault) / (total + strength)
        numbers[query, 1] = balance / (weight + strength)
        for word in touched:
            praise[word] = fault[word] = 0.0
            first[word] = -1
            several[word] = False
        for place in range(own_begins[query], own_ends[query]):
            event = user_events[place]
            for at in range(starts[event], starts[event + 1]):
                cared[words[at]] = 0.0
