"""Two texts side by side as HTML, what differs marked, all of it escaped; needs no marimo."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from curec_assets.serving.compared import Piece, marked

_MARK = "background:#ffe9a8;color:inherit;border-radius:3px;padding:0 2px"
_COLUMNS = "display:grid;grid-template-columns:1fr 1fr;gap:0 2em;margin-bottom:1.5em"


def pair_of(row: Mapping[str, Any], heads: Sequence[str], about: str) -> str:
    """`row`: title, reason_a, reason_b. `heads`: of the two columns. `about`: beside the title."""
    texts = marked(row["reason_a"], row["reason_b"])
    cells = [f"<small>{escape(head)}</small>" for head in heads]
    cells += [f"<div>{_marked(pieces)}</div>" for pieces in texts]
    return (
        f"<div data-pair><b>{escape(row['title'])}</b> <small>{escape(about)}</small>"
        f'<div style="{_COLUMNS}">{"".join(cells)}</div></div>'
    )


def _marked(pieces: Sequence[Piece]) -> str:
    return " ".join(
        f'<mark style="{_MARK}">{escape(words)}</mark>' if differs else escape(words)
        for words, differs in pieces
    )
