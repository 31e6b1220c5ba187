"""Items as the rest of the project knows them: a unique title, clean attributes, and a text."""

import re
from collections import Counter
from collections.abc import Iterable
from typing import Any

import polars as pl

from curec_assets.datasets import schema
from curec_assets.datasets.plain_text import is_odd, one_line, shortened

_LABELS = {"genre": "Genres", "director": "Director", "actor": "Cast"}
_LOWER_CASE = {"genre"}
# Plural and other common names of the kinds that reasons have words for.
_KINDS = {"genres": "genre", "directors": "director", "actors": "actor", "cast": "actor"}
_FIELD = re.compile(r"{([^{}]+)}")
_OPTIONAL = re.compile(r"\[([^\[\]]*)\]")
# What a reason may say outside quotation marks: a name, and nothing that leads elsewhere.
_MOST_WORDS = 6
_LONGEST_ATTRIBUTE = 60  # characters
_LONGEST_TITLE = 120
_LONGEST_DESCRIPTION = 4000  # more than any encoder of sentences reads
_ADDRESS = re.compile(r"://|\bwww\.|[\w.+-]+@\w|\b[\w-]{2,}\.(?:com|net|org|io|info|shop)\b", re.I)


def build_items(raw_items: pl.DataFrame, template: str = "") -> pl.DataFrame:
    """`raw_items` → `schema.ITEMS`, ordered by item id. `template`: `data.item_text`.

    Titles are unique (whatever their case), of at most 120 characters (beside what tells equal ones
    apart), and free of double quotes and newlines. An item without
    title is called "Item <id>". The text is what is embedded, empty when there is nothing to say.
    """
    rows = raw_items.sort("item_id").rows(named=True)
    titles = unique_titles([(row["item_id"], row["title"], row["year"]) for row in rows])
    result = []
    for row, title in zip(rows, titles, strict=True):
        attributes = clean_attributes(row["attributes"] or [])
        named = one_line(row["title"] or "") != ""
        prose = shortened(one_line(row["description"] or ""), _LONGEST_DESCRIPTION)
        result.append(
            {
                "item_id": row["item_id"],
                "title": title,
                "year": row["year"],
                "attributes": attributes,
                "text": (
                    filled(template, title if named else "", row["year"], attributes, prose)
                    if template
                    else item_text(title if named else "", attributes, prose)
                ),
            }
        )
    return pl.DataFrame(result, schema=schema.ITEMS)


def odd_items(raw_items: pl.DataFrame) -> list[str]:
    """Ids of items that not all is kept of: control tokens, unseen characters, a title or a
    description that is too long, an attribute that is no name.
    """
    return [
        row["item_id"]
        for row in raw_items.sort("item_id").iter_rows(named=True)
        if any(not is_name(one_line(each["value"] or "")) for each in row["attributes"] or [])
        or len(one_line(row["title"] or "")) > _LONGEST_TITLE
        or len(one_line(row["description"] or "")) > _LONGEST_DESCRIPTION
        or any(
            is_odd(text)
            for text in (
                row["item_id"],
                row["title"] or "",
                row["description"] or "",
                *(attribute["value"] or "" for attribute in row["attributes"] or []),
            )
        )
    ]


def unique_titles(items: Iterable[tuple[str, str | None, int | None]]) -> list[str]:
    """One title per (item id, title, year), in order; year, then id, tells equal ones apart."""
    choices = [_choices(*item) for item in items]
    levels = [0] * len(choices)
    while True:
        counts = Counter(c[level].casefold() for c, level in zip(choices, levels, strict=True))
        ambiguous = [
            index
            for index, (choice, level) in enumerate(zip(choices, levels, strict=True))
            if counts[choice[level].casefold()] > 1 and level + 1 < len(choice)
        ]
        if not ambiguous:
            break
        for index in ambiguous:
            levels[index] += 1
    taken: set[str] = set()
    return [
        _first_free(choice[level], taken) for choice, level in zip(choices, levels, strict=True)
    ]


def clean_attributes(attributes: Iterable[dict[str, Any]]) -> list[dict[str, str]]:
    """One-line names, genres in lower case, without empty ones and repetitions of a kind."""
    found: dict[tuple[str, str], dict[str, str]] = {}
    for attribute in attributes:
        kind, value = attribute["kind"], one_line(attribute["value"] or "")
        if kind in _LOWER_CASE:
            value = value.lower()
        if value and is_name(value):
            found.setdefault((kind, value.casefold()), {"kind": kind, "value": value})
    return list(found.values())


def is_name(value: str) -> bool:
    """Whether an attribute's value may be named in a reason, where it stands without quotation
    marks: at most six words, of 60 characters together, and no address.
    """
    return (
        len(value) <= _LONGEST_ATTRIBUTE
        and len(value.split()) <= _MOST_WORDS
        and not _ADDRESS.search(value)
    )


def item_text(title: str, attributes: Iterable[dict[str, str]], description: str) -> str:
    """`Heat. Genres: action, crime. Director: Michael Mann. Cast: ...` and any description."""
    by_kind = _by_kind(attributes)
    parts = [title] if title else []
    parts += [
        f"{_LABELS.get(kind, kind.replace('_', ' ').capitalize())}: {', '.join(values)}"
        for kind, values in by_kind.items()
    ]
    sentences = [part if part[-1] in ".!?" else f"{part}." for part in parts]
    return " ".join([*sentences, description]).strip()


def filled(
    template: str,
    title: str,
    year: int | None,
    attributes: Iterable[dict[str, str]],
    description: str,
) -> str:
    """A template (`data.item_text`) with what is known; empty where it names nothing that is."""
    values = {kind: ", ".join(found) for kind, found in _by_kind(attributes).items()}
    values |= {"title": title, "year": str(year or ""), "description": description}

    def value(field: re.Match[str]) -> str:
        return values.get(kind_of(field[1]), "")

    def optional(part: re.Match[str]) -> str:
        return part[1] if all(map(value, _FIELD.finditer(part[1]))) else ""

    chosen = _OPTIONAL.sub(optional, template)
    if not any(map(value, _FIELD.finditer(chosen))):
        return ""
    return one_line(_FIELD.sub(value, chosen))


def kind_of(column: str) -> str:
    """The kind of attribute that a column holds: its name, some common ones in the singular."""
    return _KINDS.get(column.lower(), column.lower())


def _by_kind(attributes: Iterable[dict[str, str]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for attribute in attributes:
        found.setdefault(attribute["kind"], []).append(attribute["value"])
    return found


def _choices(item_id: str, title: str | None, year: int | None) -> list[str]:
    plain = shortened(one_line(title or "") or f"Item {one_line(item_id)}", _LONGEST_TITLE)
    dated = [f"{plain} ({year})"] if year is not None else []
    return [plain, *dated, f"{(dated or [plain])[0]} #{one_line(item_id)}"]


def _first_free(title: str, taken: set[str]) -> str:
    # Only ids that differ in nothing but case, quotes or blanks get this far.
    candidate, number = title, 2
    while candidate.casefold() in taken:
        candidate, number = f"{title} ~{number}", number + 1
    taken.add(candidate.casefold())
    return candidate
