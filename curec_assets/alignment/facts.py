"""`Facts`: everything that a prompt about one user and one item may say.

A prompt, its grammar, the composer's target and the grounding check are all made from the same
`Facts`, so that "grounded" means one thing. The label is not among them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

import polars as pl

from curec_assets.provenance import digest


@dataclass(frozen=True)
class Item:
    """A catalogue item as prompts name it."""

    title: str
    attributes: tuple[str, ...]
    """Attribute values, most telling kinds first (the order of the items table)."""


@dataclass(frozen=True)
class HistoryItem:
    """A history item shown as evidence."""

    title: str
    shared: tuple[str, ...]
    """Attributes that it shares with the candidate, among those shown of the candidate."""


@dataclass(frozen=True)
class Facts:
    """The contents of a prompt for one (user, candidate item, time)."""

    title: str
    attributes: tuple[str, ...]
    liked: tuple[HistoryItem, ...]
    disliked: tuple[HistoryItem, ...]
    note: str = ""

    def with_note(self, note: str) -> "Facts":
        """The same facts under another preference note."""
        return replace(self, note=note)


class Catalogue:
    """The items by id, as prompts name them."""

    def __init__(self, items: pl.DataFrame) -> None:
        self._items = {
            row["item_id"]: Item(row["title"], tuple(a["value"] for a in row["attributes"] or ()))
            for row in items.select("item_id", "title", "attributes").iter_rows(named=True)
        }

    def __getitem__(self, item_id: str) -> Item:
        return self._items[item_id]

    def __contains__(self, item_id: str) -> bool:
        return item_id in self._items

    def titles(self) -> list[str]:
        """Every title."""
        return [item.title for item in self._items.values()]

    def attribute_values(self) -> set[str]:
        """Every attribute value of any item."""
        return {value for item in self._items.values() for value in item.attributes}

    def facts(
        self, item_id: str, liked: Sequence[str], disliked: Sequence[str], max_attributes: int
    ) -> Facts:
        """Facts about `item_id` argued from these history items (best first)."""
        item = self._items[item_id]
        shown = [self._items[other] for other in (*liked, *disliked) if other in self._items]
        # Attributes that the evidence speaks to come first; the rest fill up the limit.
        telling = sorted(
            item.attributes,
            key=lambda value: -sum(value in other.attributes for other in shown),
        )
        attributes = tuple(telling[:max_attributes])
        return Facts(
            title=item.title,
            attributes=attributes,
            liked=self._history(liked, attributes),
            disliked=self._history(disliked, attributes),
        )

    def _history(
        self, item_ids: Sequence[str], attributes: tuple[str, ...]
    ) -> tuple[HistoryItem, ...]:
        return tuple(
            HistoryItem(
                self._items[item_id].title,
                tuple(value for value in attributes if value in self._items[item_id].attributes),
            )
            for item_id in item_ids
            if item_id in self._items
        )


def facts_by_event(
    events: pl.DataFrame, evidence: pl.DataFrame, catalogue: Catalogue, max_attributes: int
) -> Mapping[str, Facts]:
    """event_id → `Facts` of its (user, item, time), from the collaborative evidence.

    `events`: event_id, item_id. `evidence`: event_id, liked_ids, disliked_ids.
    """
    joined = events.select("event_id", "item_id").join(
        evidence.select("event_id", "liked_ids", "disliked_ids"), on="event_id", how="left"
    )
    return {
        row["event_id"]: catalogue.facts(
            row["item_id"], row["liked_ids"] or (), row["disliked_ids"] or (), max_attributes
        )
        for row in joined.iter_rows(named=True)
    }


def facts_fingerprint(facts: Mapping[str, Facts]) -> str:
    """Content hash of facts by event: what prompts made from them could say."""
    return digest({event_id: asdict(of_event) for event_id, of_event in facts.items()})
