"""`Facts`: everything that a prompt about one user and one item may say.

A prompt, its grammar, the composer's target and the grounding check are all made from the same
`Facts`, so that "grounded" means one thing. Neither the label nor the evidence model's level is
among them: the model has to infer the level.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import polars as pl

from curec_assets.core.provenance import digest
from curec_assets.settings import ExplanationSettings


@dataclass(frozen=True)
class Fact:
    """One thing that the evidence says of (user, item, time); kinds: `evidence.schema.KINDS`, and
    where feedback is implicit those of `IMPLICIT`.
    """

    kind: str
    strength: int
    """-3 strongly against ... 3 strongly for; 0 where it only says how little is known."""
    value: str = ""
    """Kind `related`: title of the user's item; `attribute`: its value; `reviews`: a word."""
    liked: bool | None = None
    """Kind `related`: whether the user liked that item; None where feedback is implicit."""
    attribute: str = ""
    """Kind `attribute`: which attribute of the item has the value (genre, director, brand, ...)."""
    count: int | None = None
    """The numbers behind it, for people: `count` of `of`. In no prompt and in no sentence: an
    encoder reads digits badly."""
    of: int | None = None
    contribution: float = 0.0
    """To the evidence model's score, in log-odds."""


@dataclass(frozen=True)
class Facts:
    """The contents of a prompt for one (user, candidate item, time)."""

    title: str
    attributes: tuple[str, ...] = ()
    """Shown of the candidate."""
    arguments: tuple[Fact, ...] = ()
    """Strongest first."""
    note: str = ""
    """What the user tends to, in words."""
    cited_for: int = 2
    """How many facts for the item a reason may cite, and"""
    cited_against: int = 2
    """how many against it."""

    @property
    def handles(self) -> dict[str, Fact]:
        """Handle → fact, in the order of the prompt: F1, F2, ... for, A1, ... against, N1, ... what
        is not known.
        """
        return dict(
            (f"{letter}{number}", fact)
            for letter, chosen in (("F", 1), ("A", -1), ("N", 0))
            for number, fact in enumerate(self._of_sign(chosen), 1)
        )

    def _of_sign(self, sign: int) -> Iterator[Fact]:
        return (
            fact for fact in self.arguments if (fact.strength > 0) - (fact.strength < 0) == sign
        )

    def with_note(self, note: str) -> "Facts":
        """The same facts under another preference note."""
        return replace(self, note=note)

    def without_weakest(self) -> "Facts | None":
        """The same less the weakest argument; None when there is none left."""
        return replace(self, arguments=self.arguments[:-1]) if self.arguments else None


@dataclass(frozen=True)
class Item:
    """A catalogue item as prompts name it."""

    title: str
    attributes: tuple[str, ...]
    """Attribute values, most telling kinds first (the order of the items table)."""
    kinds: tuple[str, ...] = ()
    """Which attribute each of them is a value of."""


class Catalogue:
    """The items by id, as prompts name them."""

    def __init__(self, items: pl.DataFrame) -> None:
        """`items`: item_id, title, attributes."""
        self._items = {
            row["item_id"]: Item(
                row["title"],
                tuple(each["value"] for each in row["attributes"] or ()),
                tuple(each["kind"] for each in row["attributes"] or ()),
            )
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
        self, item_id: str, found: Sequence[Mapping[str, Any]], settings: ExplanationSettings
    ) -> Facts:
        """Facts about `item_id` from what the evidence found (`evidence.schema.FACT`)."""
        item = self._items[item_id]
        arguments = tuple(self._fact(each, item) for each in found)
        named = [fact.value for fact in arguments if fact.kind == "attribute"]
        others = [value for value in item.attributes if value not in named]
        return Facts(
            title=item.title,
            attributes=tuple([*named, *others][: settings.attributes]),
            arguments=arguments,
            cited_for=settings.cited_for,
            cited_against=settings.cited_against,
        )

    def _fact(self, found: Mapping[str, Any], item: Item) -> Fact:
        values = dict(found)
        values["value"] = values["value"] or ""
        if values["kind"] == "related":
            known = values["value"] in self._items
            values["value"] = self._items[values["value"]].title if known else ""
        if values["kind"] == "attribute":
            kinds = dict(zip(item.attributes, item.kinds, strict=True))
            values["attribute"] = kinds.get(values["value"], "")
        return Fact(**values)


def facts_by_event(
    events: pl.DataFrame,
    event_evidence: pl.DataFrame,
    catalogue: Catalogue,
    settings: ExplanationSettings,
) -> Mapping[str, Facts]:
    """event_id → `Facts` of its (user, item, time).

    `events`: event_id, item_id. `event_evidence`: event_id, facts (`evidence.schema`).
    """
    joined = events.select("event_id", "item_id").join(
        event_evidence.select("event_id", "facts"), on="event_id", how="left"
    )
    return {
        row["event_id"]: catalogue.facts(row["item_id"], row["facts"] or (), settings)
        for row in joined.iter_rows(named=True)
    }


def facts_fingerprint(facts: Mapping[str, Facts]) -> str:
    """Content hash of facts by event: what prompts made from them could say."""
    return digest({event_id: asdict(of_event) for event_id, of_event in facts.items()})
