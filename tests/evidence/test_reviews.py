"""What earlier reviews say of an item: numbers as by hand, words that several people agree on."""

from collections import Counter

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from curec_assets.evidence.classifiers import Boosted, Logistic
from curec_assets.evidence.event_log import EventLog, Floats, Ints
from curec_assets.evidence.reviews import COLUMNS, Reviews
from curec_assets.settings import EvidenceSettings

History = tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]
STRENGTH = 2.0


def read(events: pl.DataFrame, asked: pl.DataFrame) -> tuple[Floats, Ints, pl.Series]:
    log = EventLog(events)
    reviews = Reviews(log, STRENGTH)
    queries = log.encode(asked)
    return reviews.read(queries), reviews.name(queries), reviews.words


def by_hand(events: pl.DataFrame, query: dict[str, object]) -> tuple[list[float], set[str]]:
    """Both numbers, and the words that two people or more have spoken of."""
    before = [e for e in events.iter_rows(named=True) if e["timestamp"] < query["timestamp"]]
    of_item = [e for e in before if e["item_id"] == query["item_id"] and e["opinions"]]
    own = [e for e in before if e["user_id"] == query["user_id"] and e["opinions"]]
    said = Counter(word for e in of_item for word in e["opinions"].split())
    cared = Counter(word[1:] for e in own for word in e["opinions"].split())
    praise = sum(count for word, count in said.items() if word[0] == "+")
    total = sum(said.values())
    weight = balance = 0.0
    for word in {word[1:] for word in said}:
        good, bad = said[f"+{word}"], said[f"-{word}"]
        weight += cared[word]
        balance += cared[word] * (good - bad) / (good + bad + STRENGTH)
    people = Counter(
        word for word, _ in {(w[1:], e["user_id"]) for e in of_item for w in e["opinions"].split()}
    )
    numbers = [(2 * praise - total) / (total + STRENGTH), balance / (weight + STRENGTH)]
    return numbers, {word for word, count in people.items() if count >= 2}


def test_numbers_and_words_are_as_by_hand(history: History) -> None:
    events = history[0]
    asked = events.sort("timestamp").gather_every(9)
    numbers, named, words = read(events, asked)
    told = 0
    for place, query in enumerate(asked.iter_rows(named=True)):
        expected, several = by_hand(events, query)
        np.testing.assert_allclose(numbers[place], expected)
        for begin, sign in ((0, 1), (3, -1)):
            word, praised, of = named[place, begin : begin + 3]
            if word >= 0:
                told += 1
                assert words[int(word)] in several
                assert sign * (2 * praised - of) >= 0.2 * of - 1e-9
    assert told > 100


@settings(max_examples=10, deadline=None)
@given(cut=st.integers(100, 1700), text=st.sampled_from([None, "-story", "+new"]))
def test_no_review_of_an_event_or_of_later_ones_is_in_what_is_said_of_it(
    history: History, cut: int, text: str | None
) -> None:
    events = history[0]
    now = events["timestamp"][cut]
    asked = events.filter(pl.col("timestamp") <= now)
    later = pl.when(pl.col("timestamp") >= now).then(pl.lit(text))
    numbers, named, words = read(events, asked)
    found, told, other = read(events.with_columns(opinions=later.otherwise("opinions")), asked)
    np.testing.assert_array_equal(found, numbers)
    for place in (0, 3):
        assert [other[int(code)] if code >= 0 else "" for code in told[:, place]] == [
            words[int(code)] if code >= 0 else "" for code in named[:, place]
        ]
    np.testing.assert_array_equal(told[:, [1, 2, 4, 5]], named[:, [1, 2, 4, 5]])


def test_what_few_items_are_praised_for_is_named_before_what_all_are() -> None:
    rows = [(f"u{n}", f"i{n % 5}", n, "+paper") for n in range(40)]
    rows += [(f"v{n}", "i0", 50 + n, "+paper +maps") for n in range(3)]
    rows += [(f"w{n}", f"i{n}", 60, f"-{chr(97 + n // 26)}{chr(97 + n % 26)}") for n in range(400)]
    events = pl.DataFrame(
        rows, schema=["user_id", "item_id", "timestamp", "opinions"], orient="row"
    )
    events = events.with_columns(rating=pl.lit(5.0), liked=pl.lit(value=True))
    asked = pl.DataFrame({"user_id": ["w"], "item_id": ["i0"], "timestamp": [100]})
    _, named, words = read(events, asked)
    assert (words[int(named[0, 0])], *named[0, 1:4]) == ("maps", 3, 3, -1)


def test_what_everything_here_is_is_not_named() -> None:
    rows = [(f"u{n}", f"i{n % 5}", n, "+magazine" if n % 2 else "+maps") for n in range(40)]
    rows += [(f"v{n}", f"j{n}", n, "+magazine") for n in range(400)]
    events = pl.DataFrame(
        rows, schema=["user_id", "item_id", "timestamp", "opinions"], orient="row"
    )
    events = events.with_columns(rating=pl.lit(5.0), liked=pl.lit(value=True))
    asked = pl.DataFrame({"user_id": ["w"], "item_id": ["i0"], "timestamp": [1000]})
    numbers, named, words = read(events, asked)
    assert (words[int(named[0, 0])], named[0, 3]) == ("maps", -1)
    assert numbers[0, 0] == 8 / (8 + STRENGTH)  # it is praise all the same


def test_without_reviews_nothing_is_said_and_models_are_as_without_the_columns(
    history: History,
) -> None:
    events = history[0].with_columns(opinions=pl.lit(None, pl.Utf8))
    numbers, named, _ = read(events, events)
    assert not numbers.any()
    assert (named[:, [0, 3]] == -1).all()
    rng, chosen = np.random.default_rng(0), EvidenceSettings()
    plain = rng.normal(size=(600, 12)).astype(np.float32)
    liked = (plain[:, 0] + rng.normal(size=600) > 0).astype(float)
    wide = np.column_stack([plain, np.zeros((600, len(COLUMNS)), np.float32)])
    for fit in (
        lambda values: Boosted.fit(values, liked, chosen, rounds=30, seed=1),
        lambda values: Logistic.fit(values, liked, chosen),
    ):
        np.testing.assert_allclose(fit(wide).log_odds(wide), fit(plain).log_odds(plain), 1e-9)
