"""Figures of the docs: turns, ratios, records, and pages that say what the records say."""

from pathlib import Path

import pytest

from benchmarks.harness import (
    SPEED,
    Pairs,
    Record,
    Run,
    Spread,
    holds,
    pairs,
    read_records,
    write_records,
)
from benchmarks.tables import SPEED_PAGE, rendered


def test_pairs_alternate_and_drop_the_warm_up() -> None:
    calls: list[str] = []
    compared = pairs(
        lambda: calls.append("a") or len(calls),
        lambda: calls.append("b") or len(calls),
        count=3,
        warmup=1,
    )
    assert calls == ["a", "b"] * 4
    assert [run.result for run in compared.a] == [3, 5, 7]
    assert [run.result for run in compared.b] == [4, 6, 8]
    assert all(run.seconds >= 0 for run in (*compared.a, *compared.b))


def test_ratios_are_of_neighbours() -> None:
    # The machine gets slower by a factor of ten after the first pair: the ratio does not see it.
    compared = Pairs(
        a=(Run(1.0, 60), Run(10.0, 60), Run(10.0, 60)),
        b=(Run(2.0, 60), Run(20.0, 60), Run(40.0, 60)),
    )
    assert compared.speed_up() == Spread(2.0, 2.0, 4.0)
    assert compared.ratio(lambda run: run.result / run.seconds) == compared.speed_up()
    assert compared.of_b(lambda run: run.seconds) == Spread(20.0, 2.0, 40.0)


@pytest.mark.parametrize(
    ("value", "target", "expected"),
    [(3.0, ">= 3", True), (2.999, ">= 3", False), (1.1, "<= 1.1", True), (1.2, "<= 1.1", False)],
)
def test_a_target_holds_or_not(value: float, target: str, expected: bool) -> None:
    assert holds(value, target) is expected
    assert Record.of("x", value, "times", "make x", target).holds is expected
    assert Record.of("x", value, "times", "make x").holds is None


def test_a_target_of_another_form_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 3"):
        Record.of("x", 1.0, "times", "make x", "at least 3")


def test_writing_replaces_what_the_same_command_measured_before(tmp_path: Path) -> None:
    path = tmp_path / "figures" / "speed.json"
    old = [Record.of(name, 1.0, "s", "make one") for name in ("a", "gone")]
    other = Record.of("b", Spread(2.0, 1.0, 3.0), "s", "make two", "<= 2")
    write_records(path, [*old, other])
    new = Record.of("a", 1234.5678, "s", "make one")
    write_records(path, [new])
    assert read_records(path) == [new, other]
    assert new.value == 1234.6
    assert list(path.parent.iterdir()) == [path]


def test_a_page_shows_the_records_of_each_block_and_nothing_else_changes() -> None:
    page = "Before.\n<!-- figures: make x -->\nstale\n<!-- end -->\nAfter.\n"
    records = [
        Record.of("speed", Spread(3.25, 3.0, 4.0), "times", "make x", ">= 3"),
        Record.of("memory", 7.0, "GB", "make x", "<= 6"),
        Record.of("elsewhere", 7.0, "GB", "make y"),
    ]
    made = rendered(page, records)
    assert "| speed | 3.25 times | 3 – 4 | >= 3 | yes |" in made
    assert "| memory | 7 GB |  | <= 6 | **no** |" in made
    assert "elsewhere" not in made and "stale" not in made
    assert made.startswith("Before.\n") and made.endswith("\nAfter.\n")
    assert rendered(made, records) == made


def test_the_committed_page_says_what_the_committed_figures_say() -> None:
    page = SPEED_PAGE.read_text(encoding="utf-8")
    assert rendered(page, read_records(SPEED)) == page
