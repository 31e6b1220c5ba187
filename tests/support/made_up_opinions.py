"""What made-up reviews praise and find fault with."""

import numpy as np
import polars as pl

_WORDS = ("ads", "cast", "colour", "music", "plot", "price", "print", "size", "smell", "story")
_SAID = (
    *(f"{sign}{word}" for word in _WORDS for sign in "+-"),
    *("-ads +story", "+cast +music -plot"),
    *(None,) * 10,
)


def made_up_opinions(rng: np.random.Generator, count: int) -> pl.Series:
    """Column `opinions` of so many events; every third has none."""
    return pl.Series("opinions", [_SAID[place] for place in rng.integers(0, len(_SAID), count)])
