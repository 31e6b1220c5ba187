"""Grammars (xgrammar's EBNF) that keep the evidence of a completion within its prompt.

The evidence names only history items of the prompt, in their role, and only attributes that at
least one *named* item shares with the candidate. It is grounded by construction.
"""

from collections.abc import Iterable, Sequence
from itertools import combinations

from curec_assets.alignment.facts import Facts, HistoryItem

NONE = "none"
REASON_MARK = "\nReason:"
MAX_CITED_LIKED = 2
MAX_SHARED = 2
MAX_ENJOYED = 3
MAX_AVOIDED = 2


def evidence_grammar(facts: Facts) -> str:
    """`Evidence: liked "A", "B"; disliked none; shared x, y; verdict like`, for these facts."""
    rules: list[str] = []
    alternatives: list[str] = []
    for liked in _subsets(facts.liked, MAX_CITED_LIKED):
        for disliked in _subsets(facts.disliked, 1):
            name = f"shared{len(rules)}"
            common = {value for item in (*liked, *disliked) for value in item.shared}
            ordered = [value for value in facts.attributes if value in common]
            rules.append(f"{name} ::= {_choice(_lists(ordered, MAX_SHARED))}")
            cited = f"{quoted(liked)}; disliked {quoted(disliked)}; shared "
            alternatives.append(f"{_literal(cited)} {name}")
    root = (
        f"root ::= {_literal('Evidence: liked ')} cited {_literal('; verdict')} verdict "
        + _literal(REASON_MARK)
    )
    verdict = 'verdict ::= " like" | " dislike"'
    return "\n".join([root, "cited ::= " + " | ".join(alternatives), verdict, *rules])


def note_grammar(attributes: Sequence[str]) -> str:
    """`Note: enjoys x, y; avoids z.` with values among `attributes`."""
    value = f"value ::= {_choice(attributes)}" if attributes else ""
    return "\n".join(
        [
            f"root ::= {_literal('Note: enjoys ')} enjoyed {_literal('; avoids ')} avoided \".\"",
            f"enjoyed ::= {_up_to(MAX_ENJOYED if attributes else 0)}",
            f"avoided ::= {_up_to(MAX_AVOIDED if attributes else 0)}",
            value,
        ]
    )


def _up_to(most: int) -> str:
    """`none`, or between one and `most` values."""
    more = ' (", " value' * (most - 1) + ")?" * (most - 1)
    return _literal(NONE) + (f" | value{more}" if most else "")


def quoted(items: Iterable[HistoryItem]) -> str:
    """Titles in quotation marks, or `none`."""
    return ", ".join(f'"{item.title}"' for item in items) or NONE


def _subsets(items: Sequence[HistoryItem], most: int) -> list[tuple[HistoryItem, ...]]:
    return [chosen for size in range(most + 1) for chosen in combinations(items, size)]


def _lists(values: Sequence[str], most: int) -> list[str]:
    sizes = range(1, most + 1)
    return [NONE, *(", ".join(chosen) for size in sizes for chosen in combinations(values, size))]


def _choice(texts: Sequence[str]) -> str:
    return " | ".join(_literal(text) for text in texts)


def _literal(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
