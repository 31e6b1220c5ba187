"""Grammars (xgrammar's EBNF) that keep the chain of thought of a completion within its prompt.

The chain cites handles of the prompt and names a level: it is grounded by construction.
"""

from collections.abc import Iterable, Sequence

from curec_assets.explanation.facts import Facts
from curec_assets.explanation.levels import chain_words

NOTHING = "none"
CHAIN_END = "\n"


def chain_grammar(facts: Facts, levels: Iterable[int] = range(1, 10)) -> str:
    """`F1 F3 A1 unlikely`, then a line break, for the handles of these facts.

    Handles in the order of the prompt; at least one where there is one. `levels`: those allowed.
    """
    by_side: dict[str, list[str]] = {"F": [], "A": [], "N": []}
    for handle in facts.handles:
        by_side[handle[0]].append(handle)
    rules = [
        f"root ::= cited level {literal(CHAIN_END)}",
        f"level ::= {' | '.join(literal(f' {chain_words(n)}') for n in levels)}",
    ]
    most = {"F": facts.cited_for, "A": facts.cited_against, "N": 1}
    sides = {
        side: _up_to(side.lower(), handles, most[side], rules)
        for side, handles in by_side.items()
        if handles
    }
    names = list(sides.values())
    # From some side on, all later sides optional: at least one is cited.
    options = [
        " ".join([name, *(f'(" " {later})?' for later in names[place + 1 :])])
        for place, name in enumerate(names)
    ]
    rules.append(f"cited ::= {' | '.join(options) or literal(NOTHING)}")
    return "\n".join(rules)


def _up_to(side: str, handles: Sequence[str], most: int, rules: list[str]) -> str:
    """Name of a rule for one to `most` of `handles`, in their order; the rule is added."""

    def rule(start: int, left: int) -> str:
        name = f"{side}{start}of{left}"
        if not any(line.startswith(f"{name} ::=") for line in rules):
            options = []
            for place in range(start, len(handles)):
                follows = (
                    f' (" " {rule(place + 1, left - 1)})?'
                    if left > 1 and place + 1 < len(handles)
                    else ""
                )
                options.append(f"{literal(handles[place])}{follows}")
            rules.append(f"{name} ::= {' | '.join(options)}")
        return name

    return rule(0, most)


def note_grammar(
    harshness: Sequence[str],
    liked_more: Sequence[str],
    liked_less: Sequence[str],
    most_likes: int,
    most_dislikes: int,
) -> str:
    """`Note: stricter than the crowd; likes x, y more; likes z less.` for these words."""
    rules = [
        f"root ::= {literal('Note: ')} harshness {literal('; likes ')} more "
        f'{literal(" more; likes ")} less " less."',
        f"harshness ::= {_choice(harshness)}",
        f"more ::= {_values('liked', liked_more, most_likes)}",
        f"less ::= {_values('disliked', liked_less, most_dislikes)}",
    ]
    for rule, values in (("liked", liked_more), ("disliked", liked_less)):
        if values:
            rules.append(f"{rule} ::= {_choice(values)}")
    return "\n".join(rules)


def _values(rule: str, values: Sequence[str], most: int) -> str:
    """`none`, or between one and `most` values."""
    if not values:
        return literal(NOTHING)
    more = f' (", " {rule}' * (most - 1) + ")?" * (most - 1)
    return f"{literal(NOTHING)} | {rule}{more}"


def _choice(texts: Sequence[str]) -> str:
    return " | ".join(literal(text) for text in texts)


def literal(text: str) -> str:
    """`text` as a literal of the grammar."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
