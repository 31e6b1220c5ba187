"""Writes the tables of a docs page from a file of figures, between markers. Never typed by hand.

    <!-- figures: make bench-speed-sft -->
    <!-- end -->

holds the records of that command, `figures: one million reasons` that arithmetic.
`python -m benchmarks.tables` renews docs/speed.md.
"""

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks import million_reasons
from benchmarks.harness import ROOT, SPEED, Record, read_records, write_records

CHAOS = ROOT / "docs" / "figures" / "chaos.json"
DATA = ROOT / "docs" / "figures" / "data.json"
FOLLOW = ROOT / "docs" / "figures" / "follow.json"
INGEST = ROOT / "docs" / "figures" / "ingest.json"
INCREMENTAL = ROOT / "docs" / "figures" / "incremental.json"
OF_OPERATION = (CHAOS, INCREMENTAL, FOLLOW, DATA, INGEST)
OPERATION_PAGE = ROOT / "docs" / "operation.md"
SPEED_PAGE = ROOT / "docs" / "speed.md"
_BLOCK = re.compile(r"(<!-- figures: (?P<command>.+?) -->\n).*?(<!-- end -->)", re.DOTALL)
_MILLION = "one million reasons"
_NOT_MEASURED = "*Not measured yet.*\n"


def rendered(page: str, records: Sequence[Record]) -> str:
    """The page with every marked block made anew."""

    def text_of(command: str) -> str:
        if command == _MILLION:
            return million_reasons.page(records)
        return table([record for record in records if record.command == command])

    return filled(page, text_of)


def filled(page: str, text_of: Callable[[str], str]) -> str:
    """The page with `text_of` what stands in its marker in each marked block."""
    return _BLOCK.sub(lambda found: found[1] + text_of(found["command"]) + found[3], page)


def table(records: Sequence[Record]) -> str:
    """A Markdown table: one row per record, and under it where it was measured."""
    if not records:
        return _NOT_MEASURED
    lines = ["| | value | range | target | holds |", "|---|---|---|---|---|"]
    for record in records:
        spread = f"{number(record.low)} – {number(record.high)}" if record.low < record.high else ""
        holds = "" if record.holds is None else "yes" if record.holds else "**no**"
        value = f"{number(record.value)} {record.unit}".strip()
        lines.append(f"| {record.name} | {value} | {spread} | {record.target or ''} | {holds} |")
    places = dict.fromkeys(f"{record.cores} cores, {record.date}" for record in records)
    return "\n".join(lines) + f"\n\n`{records[0].command}`, {'; '.join(places)}.\n"


def number(value: float) -> str:
    """Three significant digits; whole numbers from 100 on."""
    if abs(value) >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:#.3g}" if abs(value) >= 0.001 else f"{value:.1e}"


def publish(records: Sequence[Record], figures: Path = SPEED) -> None:
    """Keep the records, print their table, and renew the page when these are its figures."""
    write_records(figures, records)
    print(table(records))
    if figures == SPEED:
        update()


def update(page: Path = SPEED_PAGE, figures: Sequence[Path] = (SPEED,)) -> None:
    """Renew the page from all figures that it shows."""
    before = page.read_text(encoding="utf-8")
    records = [record for file in figures for record in read_records(file)]
    page.write_text(rendered(before, records), encoding="utf-8")


def update_operation() -> None:
    """Renew docs/operation.md."""
    update(OPERATION_PAGE, OF_OPERATION)


if __name__ == "__main__":
    update()
