"""The table of faults counts what was tried and does not hide what did not hold."""

import re

import pytest

pytest_plugins = ("pytester",)

TESTS = """
import pytest

@pytest.mark.fault("an earthquake", tried=3)
@pytest.mark.parametrize("place", [1, 2])
def test_earthquake(place):
    assert place == 1

@pytest.mark.fault("rain")
def test_rain():
    pass

@pytest.fixture
def nothing():
    raise OSError

@pytest.mark.fault("snow")
def test_snow(nothing):
    pass

def test_nothing_of_the_kind():
    pass
"""


@pytest.mark.parametrize("processes", ["0", "2"])
def test_the_table_counts_what_was_tried_and_what_held(
    pytester: pytest.Pytester, processes: str
) -> None:
    pytester.makepyfile(TESTS)
    result = pytester.runpytest_subprocess(
        *("-p", "tests.support.faults", "-p", "xdist", f"--numprocesses={processes}")
    )
    lines = [re.sub(r" +", " ", line) for line in result.outlines]
    table = lines[next(n for n, line in enumerate(lines) if "faults that were tried" in line) :]
    assert table[1:4] == [
        "an earthquake 3 of 6 NOT HELD",
        "rain 1 of 1 held",
        "snow 0 of 1 NOT HELD",
    ]
