"""One table of the faults and attacks that were tried: printed after every run that tries some.

A test that tries one is marked `@pytest.mark.fault("what is done")`, with `tried=` how often where
that is not once for each of its cases. `make faults` runs them alone and renews the table of
docs/security.md.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.harness import ROOT, Record, write_records
from benchmarks.tables import update

COMMAND = "make faults"
PAGE = ROOT / "docs" / "security.md"
_OUTCOMES = {"passed": True, "failed": False, "error": False}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--fault-figures", type=Path, help=f"keep the table here and in {PAGE.name}")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "fault(what, tried=1): the test does this to CURec, so often in each case"
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Reports of other processes carry properties, and no markers."""
    for item in items:
        marker = item.get_closest_marker("fault")
        if marker:
            item.user_properties.append(("fault", marker.args[0]))
            item.user_properties.append(("tried", marker.kwargs.get("tried", 1)))


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    tried, held = Counter[str](), Counter[str]()
    for fault, times, passed in _outcomes(terminalreporter):
        tried[fault] += times
        held[fault] += times * passed
    if not tried:
        return
    terminalreporter.section("faults that were tried")
    width = max(map(len, tried))
    for fault in sorted(tried):
        said = "held" if held[fault] == tried[fault] else "NOT HELD"
        terminalreporter.line(
            f"{fault.ljust(width)}  {held[fault]:>4} of {tried[fault]:>4}  {said}"
        )
    figures = config.getoption("fault_figures")
    if figures:
        write_records(
            figures,
            [
                Record.of(name, held[name], f"of {tried[name]}", COMMAND, f">= {tried[name]}")
                for name in sorted(tried)
            ],
        )
        update(PAGE, (figures,))


def _outcomes(reporter: pytest.TerminalReporter) -> Iterator[tuple[str, int, bool]]:
    """What was done, how often, and whether it held; once a test."""
    for outcome, passed in _OUTCOMES.items():
        for report in reporter.getreports(outcome):
            properties = dict(getattr(report, "user_properties", ()))
            if "fault" in properties and (report.when == "call" or not passed):
                yield str(properties["fault"]), int(str(properties["tried"])), passed
