"""What is said of test reasons."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.ladder.readers import _scaled


@given(st.integers(0, 2**32 - 1))
def test_scaling_knows_no_outcome_of_test_and_keeps_the_order(seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = rng.normal(size=200)
    liked = values + rng.normal(size=200) > 0
    fitted = np.arange(200) < 120
    found = _scaled(values, liked, fitted)
    np.testing.assert_array_equal(found, _scaled(values, liked ^ ~fitted, fitted))
    assert (np.argsort(found) == np.argsort(values)).all()
