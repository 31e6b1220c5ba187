"""`make bench-data`: the made-up events, and which way round its ratios are."""

from benchmarks.amazon_shaped import Shape, parts
from benchmarks.data import records_of_both
from benchmarks.harness import Pairs, Run


def test_events_come_part_after_part_and_again_alike() -> None:
    shape = Shape(events=3_000, items=500)
    (rows,) = parts(shape)
    assert rows.height == shape.events
    assert rows["timestamp"].is_sorted()
    assert set(rows["user_id"].str.len_chars()) == {14}
    assert set(rows["item_id"].str.len_chars()) == {10}
    counts = rows["item_id"].value_counts()["count"]
    assert counts.max() > 3 * counts.mean()  # type: ignore[operator]
    assert rows.equals(next(parts(shape)))


def test_faster_is_their_time_over_ours_and_memory_ours_over_theirs() -> None:
    ours = {"seconds": 2.0, "gigabytes": 0.4, "events": [8, 1, 1]}
    theirs = {"seconds": 12.0, "gigabytes": 1.0, "events": [8, 1, 1]}
    records = records_of_both(Pairs(a=(Run(9.0, ours),), b=(Run(9.0, theirs),)))
    found = {record.name.partition(": ")[2]: record for record in records}
    assert found["faster than RecBole"].value == 6.0
    assert found["memory of RecBole's"].value == 0.4
    assert all(record.holds is not False for record in records)
