"""The page Compare: two writers side by side, and votes without names.

All text of data is escaped, here and in `side_by_side`, as in `pages`.
"""

from collections.abc import Callable, Mapping
from html import escape
from typing import Any

import marimo as mo

from curec_assets.explorer import pages
from curec_assets.explorer.ballot import Ballot, Choice
from curec_assets.explorer.side_by_side import pair_of
from curec_assets.explorer.stored import Stored
from curec_assets.serving.said import comparison_rows
from resources.errors import CurecError

ANSWERS: Mapping[Choice, str] = {
    "first": "The first is better",
    "second": "The second is better",
    "equal": "They are equal",
    "skip": "Skip",
}
_SHOWN = 10


def overview(stored: Stored, a: str, b: str) -> Any:
    """What was measured, and some pairs of texts with what differs marked."""
    try:
        compared, measures = stored.compared(a, b)
    except CurecError as error:
        return pages.said(str(error))
    rows = "".join(
        f"<tr><td>{escape(name)}</td><td>{escape(value)}</td></tr>"
        for name, value in comparison_rows(compared, measures)
    )
    samples = "".join(
        pair_of(
            row,
            [
                f"{name}: level {row[f'level_{side}']}, by the {row[f'source_{side}']}"
                for name, side in ((compared.a, "a"), (compared.b, "b"))
            ],
            "liked" if row["liked"] else "not liked",
        )
        for row in stored.different(compared, _SHOWN)
    )
    return mo.vstack(
        [
            mo.Html(f"<table>{rows}</table>"),
            pages.heading("The same events; words that the other text lacks are marked"),
            mo.Html(samples or "<p>No text differs.</p>"),
        ]
    )


def ballot_of(stored: Stored, a: str, b: str, *, wanted: bool) -> Ballot | str:
    """The pairs to vote on; in words, why there are none."""
    if not wanted:
        return ""
    try:
        return stored.ballot(a, b)
    except CurecError as error:
        return str(error)


def buttons(ballot: Ballot | str, answered: Callable[[object], None]) -> Any:
    """One for each answer; `answered` is told what has changed."""
    if isinstance(ballot, str):
        return mo.ui.array([])

    def answer(choice: Choice) -> Callable[[object], None]:
        return lambda _: answered(ballot.choose(choice))

    return mo.ui.array(
        [mo.ui.button(label=label, on_change=answer(choice)) for choice, label in ANSWERS.items()]
    )


def question(ballot: Ballot | str, answers: Any) -> Any:
    """Two reasons, and the buttons under them."""
    if isinstance(ballot, str):
        return pages.said(ballot)
    count = pages.said(f"Votes stored: {ballot.given}. Pairs left: {ballot.left}. {ballot.said}")
    asked = ballot.question
    if asked is None:
        return count
    row = {"title": asked.title, "reason_a": asked.first, "reason_b": asked.second}
    pair = mo.Html(pair_of(row, ["The first", "The second"], "which reason is better?"))
    return mo.vstack([pair, mo.hstack(list(answers), justify="start"), count])
