"""A reason as the two readers see it: a verdict sentence and a why sentence, encoded separately.

One embedding of both together would hide the verdict among titles and names; the frozen encoder
reads each sentence alone, and the two vectors stand side by side (our choice).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray


class Sentences(Protocol):
    """What is needed of a reason: `Text`, `ParsedReason` and `WrittenReason` have it."""

    @property
    def verdict(self) -> str:
        """The verdict sentence."""
        ...

    @property
    def why(self) -> str:
        """The why sentence."""
        ...


@dataclass(frozen=True)
class Text:
    """A reason."""

    verdict: str
    why: str


SILENCE = Text("", "")
"""Nothing is said."""


class Encoder(Protocol):
    """What is needed of the `text_encoder` resource."""

    def encode(self, texts: Sequence[str], *, source: str, batch_size: int) -> NDArray[Any]:
        """(n, d) embeddings of `texts`, of unit length; zeros for an empty text."""
        ...


def blank(reasons: Sequence[Sentences]) -> NDArray[np.bool_]:
    """(n,) where neither sentence says anything."""
    return np.array([not f"{r.verdict}{r.why}".strip() for r in reasons], dtype=bool)


def embed(
    encoder: Encoder, reasons: Sequence[Sentences], *, source: str, batch_size: int
) -> NDArray[np.float32]:
    """(n, 2 d): the verdict's embedding, then the why's."""
    texts = [reason.verdict for reason in reasons] + [reason.why for reason in reasons]
    both = np.asarray(encoder.encode(texts, source=source, batch_size=batch_size), dtype=np.float32)
    return np.concatenate([both[: len(reasons)], both[len(reasons) :]], axis=1)
