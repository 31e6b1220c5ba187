"""What made-up reviews praise and find fault with."""

import numpy as np
import polars as pl

_SAID = ("+story", "-story", "+price", "-price", "+colour", "-ads +story", "-ads", None, None, None)


def made_up_opinions(rng: np.random.Generator, count: int) -> pl.Series:
    """Column `opinions` of so many events; every third has none."""
    return pl.Series("opinions", [_SAID[place] for place in rng.integers(0, len(_SAID), count)])
