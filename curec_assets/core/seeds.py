"""Seeds derived from names, so that results do not depend on batch, order or process.

A random choice about one user or event draws from `random_generator(seed, "what for", user_id)`:
the same whichever other users are in the batch. Nothing here touches a global one.
"""

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

_BITS = 63  # what signed 64-bit seeds (torch, DuckDB) accept


def derive(seed: int, *parts: str | int) -> int:
    """A 63-bit seed from a base seed and any names or numbers.

    Parts keep their borders and types: ("ab", "c"), ("a", "bc"), and 1, "1" all differ.
    """
    digest = hashlib.sha256()
    for part in (seed, *parts):
        encoded = str(part).encode("utf-8")
        kind = "i" if isinstance(part, int) else "s"
        digest.update(f"{kind}{len(encoded)}:".encode() + encoded)
    return int.from_bytes(digest.digest()[:8], "big") >> (64 - _BITS)


def random_generator(seed: int, *parts: str | int) -> "np.random.Generator":
    """A NumPy generator seeded with `derive(seed, *parts)`."""
    import numpy as np

    return np.random.default_rng(derive(seed, *parts))
