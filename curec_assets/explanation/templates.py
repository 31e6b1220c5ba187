"""Templates of clauses: `(a|b)` is a choice, `(a|)` an optional word, `{slot}` is filled later.

Choices do not nest.
"""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

_CHOICE = re.compile(r"\(([^()]*)\)")


def drawn(template: str, random: "np.random.Generator") -> str:
    """`template` with every choice made."""

    def option(choice: re.Match[str]) -> str:
        options = choice[1].split("|")
        return options[int(random.integers(len(options)))]

    return " ".join(_CHOICE.sub(option, template).split())


def texts(template: str) -> Iterator[str]:
    """Every text of `template`."""
    choice = _CHOICE.search(template)
    if choice is None:
        yield " ".join(template.split())
        return
    for option in choice[1].split("|"):
        yield from texts(template[: choice.start()] + option + template[choice.end() :])
