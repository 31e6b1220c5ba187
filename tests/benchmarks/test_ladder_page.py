"""The parts of docs/benchmark.md that are not tables of figures."""

import polars as pl

from benchmarks.ladder.page import with_samples

PAGE = "before\n<!-- samples -->\nold\n<!-- end -->\nafter\n"


def test_samples_are_of_the_percentiles_and_unedited() -> None:
    reasons = pl.DataFrame(
        {
            "event_id": [f"e{number:03}" for number in range(101)],
            "reward": [number / 100 for number in range(101)],
            "level": [5] * 101,
            "verdict": [f"Verdict {number}." for number in range(101)],
            "why": ["a | b"] * 101,
            "liked": [number % 2 == 0 for number in range(101)],
        }
    ).sample(fraction=1.0, shuffle=True, seed=1)
    page = with_samples(PAGE, reasons)
    rows = [line for line in page.splitlines() if "Verdict" in line]
    assert [row.split("|")[1].strip() for row in rows] == ["5"] * 3 + ["50"] * 3 + ["95"] * 3
    assert [row.split("Verdict ")[1].split(".")[0] for row in rows] == [
        str(number) for middle in (5, 50, 95) for number in (middle - 1, middle, middle + 1)
    ]
    assert rows[0] == "| 5 | +0.04 | liked | Verdict 4. a \\| b |"
    assert page.startswith("before\n<!-- samples -->\n| percentile") and page.endswith("after\n")
    assert with_samples(page, reasons) == page
