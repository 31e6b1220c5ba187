"""The grounded composer: training targets, and the last resort, made from facts alone.

It is *our* stand-in for a teacher model. Given facts and a verdict it picks the evidence that
speaks for the verdict and words it; several wordings per case, chosen by a seed, so that the model
does not learn a single sentence by heart.
"""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from curec_assets.explanation.facts import Facts, HistoryItem
from curec_assets.explanation.grammar import NONE, REASON_MARK, quoted
from curec_assets.explanation.prompts import NoteFacts, ParsedReason

if TYPE_CHECKING:
    import numpy as np

# Titles stand in quotation marks, so that a reader, and the grounding check, sees where they end.
_LIKE_SHARED = (
    'You liked {cited}, and "{title}" shares {shared} with {them}.',
    'Since you liked {cited}, the {shared} of "{title}" should suit you.',
    'You liked {cited}, so the {shared} in "{title}" may appeal to you.',
)
_LIKE_CITED = (
    'You liked {cited}, and people with that taste often enjoy "{title}".',
    'Since you liked {cited}, "{title}" should suit you too.',
)
_LIKE_ABOUT = (
    '"{title}" is worth a try for its {about}.',
    'If you are curious about {about}, "{title}" is a good pick.',
)
_DISLIKE_SHARED = (
    'You disliked {cited}, and "{title}" may not suit you, with the same {shared}.',
    '"{title}" may not suit you: it shares {shared} with {cited}, which you disliked.',
)
_DISLIKE_CITED = (
    'You disliked {cited}, so "{title}" may not be for you.',
    '"{title}" may not suit you, as you disliked {cited}.',
)
_DISLIKE_ABOUT = (
    '"{title}" may not match what you usually like.',
    '"{title}" may not be for you, as little in your history speaks for it.',
)
_NO_FACTS = ('"{title}" is worth a try.',)

WORDING = frozenset(
    word
    for templates in (
        (*_LIKE_SHARED, *_LIKE_CITED, *_LIKE_ABOUT, *_NO_FACTS),
        (*_DISLIKE_SHARED, *_DISLIKE_CITED, *_DISLIKE_ABOUT),
    )
    for template in templates
    for word in re.findall(r"\w+", re.sub(r"{\w+}", "", template).lower())
)
"""Words of the sentences themselves: where a catalogue has one of them for an attribute
("history"), a reason that uses it claims nothing."""


def compose(facts: Facts, verdict: str, rng: "np.random.Generator") -> ParsedReason:
    """Evidence and reason for `verdict` ("like" or "dislike"), grounded in `facts`."""
    speaking = facts.liked if verdict == "like" else facts.disliked
    most = facts.most_cited_liked if verdict == "like" else 1
    sharing = [item for item in speaking if item.shared]
    cited = tuple(sharing[:most] or speaking[:most])
    common = {value for item in cited for value in item.shared}
    shared = tuple(value for value in facts.attributes if value in common)[
        : facts.most_cited_attributes
    ]
    if len(cited) == 2:
        # Two items are cited together only for what both have.
        both = tuple(value for value in shared if all(value in item.shared for item in cited))
        cited, shared = (cited, both) if both else (cited[:1], _own(facts, cited[0]))
    template = _pick(_templates(verdict, bool(shared), bool(cited), facts), rng)
    reason = template.format(
        title=facts.title,
        shared=_join(shared),
        cited=_join([f'"{item.title}"' for item in cited]),
        them="them" if len(cited) > 1 else "it",
        about=_join(facts.attributes[: facts.most_cited_attributes]),
    )
    titles = tuple(item.title for item in cited)
    return ParsedReason(
        liked=titles if verdict == "like" else (),
        disliked=titles if verdict == "dislike" else (),
        shared=shared,
        verdict=verdict,
        reason=reason,
    )


def completion(parsed: ParsedReason) -> str:
    """The text that a model is to write: evidence, then reason."""
    return f"{evidence_line(parsed)}{REASON_MARK} {parsed.reason}"


def evidence_line(parsed: ParsedReason) -> str:
    """The evidence part alone."""
    liked = quoted([HistoryItem(title, ()) for title in parsed.liked])
    disliked = quoted([HistoryItem(title, ()) for title in parsed.disliked])
    shared = ", ".join(parsed.shared) or NONE
    return (
        f"Evidence: liked {liked}; disliked {disliked}; shared {shared}; verdict {parsed.verdict}"
    )


def compose_note(facts: NoteFacts) -> str:
    """`enjoys x, y; avoids z`: attributes by how much more often they were liked than disliked."""
    balance: dict[str, int] = {}
    for items, sign in ((facts.liked, 1), (facts.disliked, -1)):
        for item in items:
            for value in item.shared:
                balance[value] = balance.get(value, 0) + sign
    enjoyed = sorted((v for v in balance if balance[v] > 0), key=lambda v: -balance[v])
    avoided = sorted((v for v in balance if balance[v] < 0), key=lambda v: balance[v])
    return (
        f"enjoys {', '.join(enjoyed[: facts.max_enjoyed]) or NONE}; "
        f"avoids {', '.join(avoided[: facts.max_avoided]) or NONE}"
    )


def _own(facts: Facts, item: HistoryItem) -> tuple[str, ...]:
    own = tuple(value for value in facts.attributes if value in item.shared)
    return own[: facts.most_cited_attributes]


def _templates(verdict: str, shared: bool, cited: bool, facts: Facts) -> Sequence[str]:
    if verdict == "dislike":
        return _DISLIKE_SHARED if shared else _DISLIKE_CITED if cited else _DISLIKE_ABOUT
    if shared or cited:
        return _LIKE_SHARED if shared else _LIKE_CITED
    return _LIKE_ABOUT if facts.attributes else _NO_FACTS


def _pick(templates: Sequence[str], rng: "np.random.Generator") -> str:
    return templates[int(rng.integers(len(templates)))]


def _join(values: Sequence[str]) -> str:
    return " and ".join(values)
