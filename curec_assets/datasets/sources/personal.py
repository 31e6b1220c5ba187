"""Whether values look like e-mail addresses, phone numbers or names of people.

A guess from the form of the values alone, our choice: directors look like customers, so what it
finds is to be confirmed or taken out by whoever knows the data. It does not see single names, names
in lower case, and names in scripts without capitals.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import polars as pl

_WORD = r"(?:\p{Lu}[\p{L}\p{M}'’-]*\.?|(?:\p{Lu}\.)+)"
_PARTICLE = r"(?:al|bin|da|de|del|della|den|der|di|dos|du|el|la|le|van|von|y)"
_ADDRESS = r"[^\s@]+@[\w-]+(?:\.[\w-]+)+"
_PHONE = r"^[+(]?\d[\d ()./-]*\d$"
_NAME = rf"^{_WORD},?(?: {_PARTICLE}){{0,3}}(?: {_WORD}){{1,3}}$"
# Digits and signs that are something else: dates, ranges of years, decimals, ISBNs.
_NO_PHONE = (
    r"^\d{1,4}[./-]\d{1,2}[./-]\d{1,4}$|^\d{4} ?[/-] ?\d{4}$|^\d+\.\d+$|^97[89][- ]\d[\d -]*$"
)
_DIALLED = r"^[+(0]|[ ()./-]"  # a bare number is a number
_DIGITS = (7, 15)  # E.164 allows 15; fewer than 7 are no subscriber's number


@dataclass(frozen=True)
class Suspicion:
    """What a column looks like."""

    kind: str
    row: int
    """The first with such a value, 0-based."""
    found: int
    """How many of its different values look so."""
    of: int


def suspicion(rows: Sequence[Iterable[str]]) -> Suspicion | None:
    """What a column looks like whose row n has the values `rows[n]`; None for nothing personal.

    Any value with an e-mail address is enough; of the different values, a tenth must look like
    phone numbers, or half like personal names (two to four capitalised words).
    """
    first: dict[str, int] = {}
    for number, values in enumerate(rows):
        for value in values:
            first.setdefault(value, number)
    different = pl.Series(list(first), dtype=pl.String)
    for kind, looks, least in (
        ("an e-mail address", different.str.contains(_ADDRESS), 0.0),
        ("a phone number", _phones(different), 0.1),
        ("a personal name", different.str.contains(_NAME), 0.5),
    ):
        found = int(looks.sum())
        if found and found >= least * len(first):
            return Suspicion(kind, first[different.filter(looks)[0]], found, len(first))
    return None


def _phones(values: pl.Series) -> pl.Series:
    digits = values.str.count_matches(r"\d")
    return (
        values.str.contains(_PHONE)
        & values.str.contains(_DIALLED)
        & ~values.str.contains(_NO_PHONE)
        & digits.is_between(*_DIGITS)
    )
