"""What the columns of unknown files mean: a first draft of a profile, with what it is unsure of.

By the names of columns first, as public data sets and shops write them, then by what they hold. The
draft is for a person to read: nothing is guessed when data is ingested.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import polars as pl

from curec_assets.datasets.sources import parsing
from curec_assets.datasets.sources.catalogue import MARKUP, as_text
from curec_assets.datasets.sources.formats import columns_of, rows_of
from curec_assets.datasets.sources.personal import suspicion
from resources.errors import DataError

_ROWS = 20_000  # looked at of each file
_NAMES = {
    "user": "userid user reviewerid customerid customer memberid visitorid accountid personid "
    "viewerid uid visitor client buyer",
    "item": "itemid item parentasin asin productid movieid bookid isbn sku articleid songid "
    "trackid gameid recipeid businessid iid",
    "time": "timestamp unixreviewtime time datetime date createdat ratedat when ts reviewtime "
    "eventtime clickedat viewedat playedat watchedat boughtat purchasedat orderedat orderdate",
    "rating": "rating overall stars score liked like label clicked click grade value",
    "title": "title name productname itemname movietitle booktitle",
    "year": "year releaseyear yearpublished publicationyear",
}
"""What is mapped → names of columns, in small letters and digits, the likeliest first."""
_ATTRIBUTES = [
    "genre",
    "class",
    "category",
    "categories",
    "brand",
    "maincat",
    "maincategory",
    "store",
    "director",
    "author",
    "artist",
    "actor",
    "cast",
    "publisher",
    "tag",
    "colour",
    "color",
    "style",
    "department",
    "manufacturer",
    "platform",
    "developer",
    "country",
]
_REVIEWS = ("reviewtext", "text", "reviewbody", "body", "review", "comment", "comments")
_HEADLINES = ("summary", "title", "reviewtitle", "reviewsummary", "headline")
_PROSE = ("description", "plot", "summary", "overview", "feature", "synopsis", "text")
_MANY = 0.2
_FEWEST_VALUES_SHARED = 0.5  # of the items of events, in the file of items
_SCALES = ((1.0, 0.5), (5.0, 4.0), (10.0, 7.0), (100.0, 70.0))
"""Highest rating of a scale → what counts as liked."""


@dataclass
class Guess:
    """A profile's section `data`, and what to look at before it is used."""

    values: dict[str, object]
    doubts: list[str] = field(default_factory=list)


def guess(files: Sequence[Path], separator: str = "") -> Guess:
    """Of one file of events, or two, events and items, in either order.

    Raises `DataError` where no file has columns for user, item and time.
    """
    columns = {file: columns_of(file, "FILE", separator) for file in files}
    events = _events_file(columns)
    rest = [file for file in files if file != events]
    if len(rest) > 1:
        raise DataError(
            f"found {len(files)} files, expected one of events and at most one of items"
        )
    found = Guess({"source": "files", "interactions_path": events})
    if separator:
        found.values["csv_separator"] = separator
    named = _mapped(columns[events], ("user", "item", "time"))
    rows = rows_of(events, columns[events], "FILE", separator, most=_ROWS)
    named |= _rating(rows, named, found)
    for role, column in named.items():
        found.values[f"{role}_column"] = column
    _time_unit(rows, named["time"], events, found)
    _threshold(rows, named.get("rating"), events, found)
    _reviews([column for column in columns[events] if column not in named.values()], found)
    if rest:
        _items(rest[0], columns[rest[0]], rows[named["item"]], named["item"], separator, found)
    else:
        found.doubts.append("no file of items: reasons can name items by their ids alone")
    return found


def as_toml(found: Guess, folder: Path, profile: str) -> str:
    """A profile that extends `profile`; paths are relative to `folder` where they are below it."""
    lines = ["# A draft by `curec init`: read it before you use it.", f'extends = "{profile}"', ""]
    lines += [f"# Unsure: {doubt}" for doubt in found.doubts]
    lines += ["[data]", *(f"{key} = {_toml(value, folder)}" for key, value in found.values.items())]
    return "\n".join(lines) + "\n"


def _toml(value: object, folder: Path) -> str:
    if isinstance(value, Path):
        full = value.resolve()
        value = str(full.relative_to(folder) if full.is_relative_to(folder) else full)
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, list):
        return "[" + ", ".join(_toml(each, folder) for each in value) + "]"
    return str(value)


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _mapped(columns: Sequence[str], roles: Sequence[str]) -> dict[str, str]:
    """Role → column, for those that a name tells; no column has two roles."""
    found: dict[str, str] = {}
    plain = {column: _plain(column) for column in columns}
    for role in roles:
        free = [column for column in columns if column not in found.values()]
        names = _NAMES[role].split()
        by_name = [c for name in names for c in free if plain[c] == name]
        within = [c for name in names[:4] for c in free if name in plain[c]]
        if by_name or within:
            found[role] = (by_name or within)[0]
    return found


def _events_file(columns: Mapping[Path, Sequence[str]]) -> Path:
    """The file that has user, item and time."""
    wanted = ("user", "item", "time")
    for file, names in columns.items():
        if set(_mapped(names, wanted)) == set(wanted):
            return file
    said = "; ".join(f"{file.name} has {', '.join(map(repr, c))}" for file, c in columns.items())
    raise DataError(
        f"no file has columns that look like user, item and time: {said}. Rename them, or write "
        "the mapping by hand (`curec profiles` lists the settings of [data])"
    )


def _rating(rows: pl.DataFrame, named: Mapping[str, str], found: Guess) -> dict[str, str]:
    taken = set(named.values())
    free = [column for column in rows.columns if column not in taken]
    mapped = _mapped(free, ("rating",))
    if mapped:
        return mapped
    found.values["feedback"] = "implicit"
    found.doubts.append(
        "no column looks like a rating or a label, so every event is taken for a like, and others "
        'that did not happen are drawn; if there is one, take feedback = "implicit" out and name '
        "it in rating_column"
    )
    return {}


def _reviews(columns: Sequence[str], found: Guess) -> None:
    """Columns of the events that hold what people wrote; a headline stands above a text."""
    texts = [column for column in columns if _plain(column) in _REVIEWS]
    heads = [column for column in columns if _plain(column) in _HEADLINES]
    if texts:
        found.values["review_columns"] = [*heads, *texts]


def _time_unit(rows: pl.DataFrame, column: str, file: Path, found: Guess) -> None:
    for unit in ("s", "ms", "us"):
        try:
            parsed = parsing.times(
                parsing.Cells(rows[column], str(file), lambda: None),
                earliest=0,
                latest=int(datetime.now().timestamp()) + 86_400,
                unit=unit,
            )
        except DataError:
            continue
        if unit != "s":
            found.values["time_unit"] = unit
        bad = sum(len(fault.rows) for fault in parsed.faults)
        if bad:
            found.doubts.append(f"{bad} of {rows.height} times in {column!r} cannot be read")
        if parsed.values.n_unique() * 20 < rows.height:
            found.doubts.append(
                f"{column!r} has {parsed.values.n_unique()} different times in {rows.height} rows: "
                "events of one time are not known to each other"
            )
        return
    found.doubts.append(f"{column!r} does not look like times: name another in time_column")


def _threshold(rows: pl.DataFrame, column: str | None, file: Path, found: Guess) -> None:
    if column is None:
        return
    parsed = parsing.ratings(
        parsing.Cells(rows[column], str(file), lambda: None)
    ).values.drop_nulls()
    highest = parsed.max()
    if not isinstance(highest, float):
        found.doubts.append(f"{column!r} holds no number")
        return
    liked = next((liked for scale, liked in _SCALES if highest <= scale), None)
    if liked is None:
        middle = parsed.median()
        liked = float(middle) if isinstance(middle, float) else highest
        found.doubts.append(f"{column!r} goes up to {highest:g}: say what counts as liked")
    found.values["liked_threshold"] = liked
    share = float((parsed >= liked).to_numpy().mean())
    if not 0.02 <= share <= 0.98:
        found.doubts.append(
            f"{share:.0%} of the events would be liked ({column} >= {liked:g}): too one-sided to "
            "learn from; choose another liked_threshold"
        )


def _items(
    file: Path,
    columns: Sequence[str],
    of_events: pl.Series,
    item_column: str,
    separator: str,
    found: Guess,
) -> None:
    found.values["items_path"] = file
    rows = rows_of(file, columns, "FILE", separator, most=None)
    wanted = set(of_events.cast(pl.String))
    shared = {
        column: len(wanted & set(rows[column].cast(pl.String, strict=False))) / len(wanted)
        for column in columns
        if not rows[column].dtype.is_nested()
    }
    best = max(shared, key=lambda column: (shared[column], column == item_column))
    if best != item_column:
        found.doubts.append(
            f"the column of item ids is {item_column!r} in the events and {best!r} in {file.name}; "
            "item_column names both: rename one of them"
        )
    if shared[best] < _FEWEST_VALUES_SHARED:
        found.doubts.append(f"only {shared[best]:.0%} of the events' items are in {file.name}")
    free = [column for column in columns if column != best]
    mapped = _mapped(free, ("title", "year"))
    if "title" in mapped:
        found.values["title_column"] = mapped["title"]
        titles = as_text(rows[mapped["title"]])
        missing = (titles.is_null() | titles.str.contains(MARKUP)).to_numpy().mean()
        if missing > _MANY:
            found.doubts.append(
                f"{missing:.0%} of the titles in {file.name} are missing or markup: their items "
                "are called by their ids"
            )
    else:
        found.doubts.append(f"no column of {file.name} looks like a title: set title_column")
        found.values["title_column"] = best
    if "year" in mapped:
        found.values["year_column"] = mapped["year"]
    _described(file, [c for c in free if c not in mapped.values()], rows, found)


def _is_attribute(column: str) -> bool:
    plain = _plain(column)
    return plain.removesuffix("s") in _ATTRIBUTES or plain in _ATTRIBUTES


def _separator(columns: Sequence[pl.Series]) -> str:
    """What most of the texts have that have any."""
    texts = [column.drop_nulls() for column in columns if column.dtype == pl.Utf8]
    having = {
        each: sum(int(text.str.contains(each, literal=True).sum()) for text in texts)
        for each in (",", "|", ";")
    }
    return max(having, key=lambda each: having[each])


def _described(file: Path, columns: Sequence[str], rows: pl.DataFrame, found: Guess) -> None:
    """Attributes and prose, by their names; those that look personal are named as doubts."""
    attributes, prose = [], []
    separator = _separator([rows[column] for column in columns if _is_attribute(column)])
    if separator != ",":
        found.values["attribute_separator"] = separator
    for column in columns:
        plain = _plain(column)
        if plain.startswith(_PROSE):
            prose.append(column)
        elif _is_attribute(column):
            values = [parsing.attribute_values(cell, separator) for cell in rows[column].to_list()]
            looks = suspicion(values)
            if looks:
                found.doubts.append(
                    f"{column!r} of {file.name} looks like {looks.kind} and is left out; if it is "
                    "public, add it to attribute_columns and confirmed_columns"
                )
            elif any(values):
                attributes.append(column)
    if attributes:
        found.values["attribute_columns"] = attributes
    else:
        found.doubts.append(
            "no column looks like an attribute (genre, brand, ...): reasons can then name titles "
            "alone; others are " + (", ".join(map(repr, columns)) or "none")
        )
    if prose:
        found.values["text_columns"] = prose
