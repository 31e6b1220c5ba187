"""`Facts`: everything that a prompt about one user and one item may say.

A prompt, its grammar, the composer's target and the grounding check are all made from the same
`Facts`, so that "grounded" means one thing. The label is not among them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

import polars as pl

from curec_assets.core.provenance import digest
from curec_assets.settings import EvidenceSettings


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
    """Attributes shown of it. As evidence: those that the candidate shares, among those shown of
    the candidate."""
    age: int = 0
    """How many events of the history came after it."""


@dataclass(frozen=True)
class Facts:
    """The contents of a prompt for one (user, candidate item, time)."""

    title: str
    attributes: tuple[str, ...]
    liked: tuple[HistoryItem, ...]
    disliked: tuple[HistoryItem, ...]
    note: str = ""
    recent_liked: tuple[HistoryItem, ...] = ()
    """The user's latest liked items whatever the candidate, latest first."""
    recent_disliked: tuple[HistoryItem, ...] = ()
    most_cited_liked: int = 2
    """How many liked items a reason may argue from, and"""
    most_cited_attributes: int = 2
    """from how many attributes."""

    def named_liked(self) -> tuple[HistoryItem, ...]:
        """Every liked item that the prompt names, evidence first, each title once."""
        return _by_title((*self.liked, *self.recent_liked))

    def named_disliked(self) -> tuple[HistoryItem, ...]:
        """Every disliked item that the prompt names, evidence first, each title once."""
        return _by_title((*self.disliked, *self.recent_disliked))

    def without_oldest(self) -> "Facts | None":
        """The same facts less the oldest history item; None when there is none left."""
        ages = [item.age for item in (*self.named_liked(), *self.named_disliked())]
        if not ages:
            return None
        oldest = max(ages)

        def younger(items: tuple[HistoryItem, ...]) -> tuple[HistoryItem, ...]:
            return tuple(item for item in items if item.age != oldest)

        return replace(
            self,
            liked=younger(self.liked),
            disliked=younger(self.disliked),
            recent_liked=younger(self.recent_liked),
            recent_disliked=younger(self.recent_disliked),
        )

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
        self,
        item_id: str,
        liked: Sequence[str],
        disliked: Sequence[str],
        history: Sequence[tuple[str, bool]],
        settings: EvidenceSettings,
    ) -> Facts:
        """Facts about `item_id` argued from the items `liked` and `disliked` (best first).

        `history`: (item id, liked) of the user's earlier events, oldest first.
        """
        item = self._items[item_id]
        shown = [self._items[other] for other in (*liked, *disliked) if other in self._items]
        # Attributes that the evidence speaks to come first; the rest fill up the limit.
        telling = sorted(
            item.attributes,
            key=lambda value: -sum(value in other.attributes for other in shown),
        )
        attributes = tuple(telling[: settings.max_attributes])
        ages = {
            earlier: len(history) - position for position, (earlier, _) in enumerate(history, 1)
        }

        def evidence(item_ids: Sequence[str]) -> tuple[HistoryItem, ...]:
            return tuple(
                HistoryItem(
                    self._items[other].title,
                    tuple(value for value in attributes if value in self._items[other].attributes),
                    ages.get(other, 0),
                )
                for other in item_ids
                if other in self._items
            )

        recent = [
            (
                liked_it,
                HistoryItem(earlier.title, earlier.attributes[: settings.recent_attributes], age),
            )
            for age, (other, liked_it) in enumerate(reversed(history))
            if other != item_id and ages[other] == age and (earlier := self._items.get(other))
        ][: settings.recent_items]
        return Facts(
            title=item.title,
            attributes=attributes,
            liked=evidence(liked),
            disliked=evidence(disliked),
            recent_liked=tuple(one for liked_it, one in recent if liked_it),
            recent_disliked=tuple(one for liked_it, one in recent if not liked_it),
            most_cited_liked=settings.cited_liked,
            most_cited_attributes=settings.cited_attributes,
        )


def _by_title(items: Sequence[HistoryItem]) -> tuple[HistoryItem, ...]:
    return tuple({item.title: item for item in reversed(items)}.values())[::-1]


def facts_by_event(
    events: pl.DataFrame,
    evidence: pl.DataFrame,
    histories: pl.DataFrame,
    catalogue: Catalogue,
    settings: EvidenceSettings,
) -> Mapping[str, Facts]:
    """event_id → `Facts` of its (user, item, time), from the collaborative evidence.

    `events`: event_id, item_id. `evidence`: event_id, liked_ids, disliked_ids. `histories`:
    event_id, item_ids, likes.
    """
    joined = (
        events.select("event_id", "item_id")
        .join(evidence.select("event_id", "liked_ids", "disliked_ids"), on="event_id", how="left")
        .join(histories.select("event_id", "item_ids", "likes"), on="event_id", how="left")
    )
    return {
        row["event_id"]: catalogue.facts(
            row["item_id"],
            row["liked_ids"] or (),
            row["disliked_ids"] or (),
            tuple(zip(row["item_ids"] or (), row["likes"] or (), strict=True)),
            settings,
        )
        for row in joined.iter_rows(named=True)
    }


def facts_fingerprint(facts: Mapping[str, Facts]) -> str:
    """Content hash of facts by event: what prompts made from them could say."""
    return digest({event_id: asdict(of_event) for event_id, of_event in facts.items()})
