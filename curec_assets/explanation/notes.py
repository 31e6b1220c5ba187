"""From a history to the `NoteFacts` that preference notes are written from."""

from collections.abc import Sequence

from curec_assets.explanation.facts import Catalogue, HistoryItem
from curec_assets.explanation.prompts import NoteFacts

MAX_LIKED = 4
MAX_DISLIKED = 2
MAX_ATTRIBUTES = 2


def note_facts(item_ids: Sequence[str], likes: Sequence[bool], catalogue: Catalogue) -> NoteFacts:
    """The latest liked and disliked items of a history (oldest first), latest first."""
    latest = [
        (item_id, liked)
        for item_id, liked in zip(reversed(item_ids), reversed(likes), strict=True)
        if item_id in catalogue
    ]
    return NoteFacts(
        liked=_items([i for i, liked in latest if liked][:MAX_LIKED], catalogue),
        disliked=_items([i for i, liked in latest if not liked][:MAX_DISLIKED], catalogue),
    )


def outcome_item(item_id: str, catalogue: Catalogue) -> HistoryItem:
    """The item of a new outcome, as note prompts name it."""
    return _items([item_id], catalogue)[0]


def _items(item_ids: Sequence[str], catalogue: Catalogue) -> tuple[HistoryItem, ...]:
    return tuple(
        HistoryItem(catalogue[i].title, catalogue[i].attributes[:MAX_ATTRIBUTES]) for i in item_ids
    )
