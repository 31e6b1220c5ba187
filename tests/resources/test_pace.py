"""One form for how far work is."""

import pytest

from resources.pace import how_far


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ((12, 60, 6.0, "step"), "12 of 60 steps, 2.00step/s, 00:24 left"),
        ((12, 60, 36.0, "step"), "12 of 60 steps, 3.00s/step, 02:24 left"),
        ((12, 60, 6.0, "step", 10), "12 of 60 steps, 3.00s/step, 02:24 left"),
        ((60, 60, 6.0, "text"), "60 of 60 texts, 10.00text/s, 00:00 left"),
        ((3, 3, 0.0, "shard", 3), "3 of 3 shards, ?shard/s, ? left"),
    ],
)
def test_rate_and_time_left_are_of_what_this_run_did(given: tuple[int], said: str) -> None:
    assert how_far(*given) == said  # type: ignore[arg-type]
