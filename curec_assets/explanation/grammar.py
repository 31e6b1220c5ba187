"""Grammars (xgrammar's EBNF) that keep the evidence of a completion within its prompt.

The evidence names only history items of the prompt, in their role, and only attributes that at
least one *named* item shares with the candidate. It is grounded by construction.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import combinations

from curec_assets.explanation.facts import Facts, HistoryItem

NONE = "none"
REASON_MARK = "\nReason:"


def evidence_grammar(facts: Facts, *, only_like: bool = False) -> str:
    """`Evidence: liked "A", "B"; disliked none; shared x, y; verdict like`, for these facts.

    `only_like`: the verdict is *like*, argued from liked items where there are any.
    """
    if only_like:
        facts = replace(facts, disliked=())
    names: dict[str, str] = {}  # rule name of every literal, so that each is compiled once
    shared: dict[tuple[str, ...], str] = {}  # rule name of every set of shared attributes
    rules = [
        f"root ::= {_literal('Evidence: liked ')} cited {_literal('; verdict')} verdict "
        + _literal(REASON_MARK),
        'verdict ::= " like"' if only_like else 'verdict ::= " like" | " dislike"',
    ]

    def name(text: str) -> str:
        return names.setdefault(text, f"text{len(names)}")

    def after_liked(liked: tuple[HistoryItem, ...]) -> str:
        options = []
        for disliked in _subsets(facts.disliked, 1):
            common = {value for item in (*liked, *disliked) for value in item.shared}
            values = tuple(value for value in facts.attributes if value in common)
            rule = shared.setdefault(values, f"shared{len(shared)}")
            options.append(f"{name(quoted(disliked))} {name('; shared ')} {rule}")
        return f"{name('; disliked ')} ({' | '.join(options)})"

    cited = [] if only_like and facts.liked else [f"{name(NONE)} {after_liked(())}"]
    for position, first in enumerate(facts.liked):
        others = facts.liked[position + 1 :] if facts.most_cited_liked > 1 else ()
        seconds = [
            f"{name(', ')} {name(quoted([second]))} {after_liked((first, second))}"
            for second in others
        ]
        options = " | ".join([after_liked((first,)), *seconds])
        rules.append(f"liked{position} ::= {options}")
        cited.append(f"{name(quoted([first]))} liked{position}")
    rules.append(f"cited ::= {' | '.join(cited)}")
    for values, rule in shared.items():
        choice = _values([name(value) for value in values], facts.most_cited_attributes, name)
        rules.append(f"{rule} ::= {choice}")
    return "\n".join([*rules, *(f"{rule} ::= {_literal(text)}" for text, rule in names.items())])


def _values(values: Sequence[str], most: int, name: Callable[[str], str]) -> str:
    """`none`, one value, or (`most` 2) two in the order given; values and result: rule names."""
    options = [name(NONE)]
    for position, value in enumerate(values):
        later = " | ".join(values[position + 1 :]) if most > 1 else ""
        options.append(f"{value} ({name(', ')} ({later}))?" if later else value)
    return " | ".join(options)


def note_grammar(attributes: Sequence[str], max_enjoyed: int, max_avoided: int) -> str:
    """`Note: enjoys x, y; avoids z.` with values among `attributes`, at most so many of each."""
    value = f"value ::= {_choice(attributes)}" if attributes else ""
    return "\n".join(
        [
            f'root ::= {_literal("Note: enjoys ")} enjoyed {_literal("; avoids ")} avoided "."',
            f"enjoyed ::= {_up_to(max_enjoyed if attributes else 0)}",
            f"avoided ::= {_up_to(max_avoided if attributes else 0)}",
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


def _choice(texts: Sequence[str]) -> str:
    return " | ".join(_literal(text) for text in texts)


def _literal(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
