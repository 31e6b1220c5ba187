"""From a history to the `NoteFacts` that preference notes are written from."""

from collections.abc import Sequence

from curec_assets.explanation.facts import Catalogue, HistoryItem
from curec_assets.explanation.prompts import NoteFacts
from curec_assets.settings import ExplanationSettings


def note_facts(
    item_ids: Sequence[str],
    likes: Sequence[bool],
    catalogue: Catalogue,
    settings: ExplanationSettings,
) -> NoteFacts:
    """The latest liked and disliked items of a history (oldest first), latest first."""
    latest = [
        (item_id, liked)
        for item_id, liked in zip(reversed(item_ids), reversed(likes), strict=True)
        if item_id in catalogue
    ]
    return NoteFacts(
        liked=_items(
            [i for i, liked in latest if liked][: settings.note_liked], catalogue, settings
        ),
        disliked=_items(
            [i for i, liked in latest if not liked][: settings.note_disliked], catalogue, settings
        ),
        max_enjoyed=settings.note_enjoyed,
        max_avoided=settings.note_avoided,
    )


def outcome_item(item_id: str, catalogue: Catalogue, settings: ExplanationSettings) -> HistoryItem:
    """The item of a new outcome, as note prompts name it."""
    return _items([item_id], catalogue, settings)[0]


def _items(
    item_ids: Sequence[str], catalogue: Catalogue, settings: ExplanationSettings
) -> tuple[HistoryItem, ...]:
    return tuple(
        HistoryItem(catalogue[i].title, catalogue[i].attributes[: settings.note_attributes])
        for i in item_ids
    )
