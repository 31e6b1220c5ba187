"""A data set at the door: what is in it, and what of it cannot carry the method."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import polars as pl

from curec_assets.datasets import schema
from curec_assets.datasets.splits import split_in_time
from curec_assets.settings import SplitSettings
from resources.errors import DataError

_FEW_EVENTS = 1_000
_FEW_USERS = 50
_ONE_SIDED = 0.05  # share of the rarer outcome
_MANY_TIED = 0.5
_MANY_ALONE = 0.5
_FEW_TEXTS = 0.5


@dataclass(frozen=True)
class DataProfile:
    """Figures to look at, and warnings with what to do about each."""

    figures: dict[str, str]
    warnings: list[str]


def data_profile(
    events: pl.DataFrame, items: pl.DataFrame, quarantined: int, split: SplitSettings
) -> DataProfile:
    """`events`: `schema.INTERACTIONS`; `items`: `schema.ITEMS`; `quarantined`: rows left out.

    Events that are drawn count for nothing but the share that is liked.
    """
    drawn = events.filter(~schema.OBSERVED)
    liked = _share(events["liked"])
    events = events.filter(schema.OBSERVED)
    users, met = events["user_id"].n_unique(), events["item_id"].n_unique()
    per_user = events.group_by("user_id").len()["len"]
    per_item = events.group_by("item_id").len()["len"]
    alone = _share(per_item == 1)
    tied = _tied(events)
    named = _share(items["text"] != "")
    described = _share(items["attributes"].list.len() > 0)
    figures = {
        "events": f"{events.height:,}, and {quarantined:,} rows in quarantine",
        "users": f"{users:,}, with {_middle(per_user)} events each in the middle",
        "items": f"{met:,} met of {items.height:,}, with {_middle(per_item)} events each in the "
        f"middle; {alone:.0%} met by one event alone",
        "density": f"{events.height / max(users * met, 1):.3%} of all pairs",
        "time": _time_range(events),
        "ties": f"{tied:.0%} of the events have the same user and time as another",
        "liked": f"{liked:.1%} of the events"
        + (f" and the {drawn.height:,} that are drawn beside them" if drawn.height else ""),
        "ratings": _ratings(events),
        "reviews": f"{_share(events['opinions'].is_not_null()):.0%} of the events say what is good "
        "or bad about the item",
        "texts": f"{named:.0%} of the items have a title or text, {described:.0%} attributes",
    }
    warnings = [
        said
        for doubtful, said in (
            (
                events.height < _FEW_EVENTS,
                f"{events.height} events are few: intervals will be wide",
            ),
            (
                users < _FEW_USERS,
                f"{users} users are few: readers and models share them out by user",
            ),
            (
                min(liked, 1 - liked) < _ONE_SIDED,
                f"{liked:.1%} liked is one-sided: choose another data.liked_threshold, or add the "
                "other outcome (items that were shown and not taken); of clicks, plays or sales "
                'alone set data.feedback = "implicit"',
            ),
            (
                tied > _MANY_TIED,
                f"{tied:.0%} of the events share their user and time with another: what happened "
                "at one time is not known to each other, so evidence is missing. Use finer times",
            ),
            (
                alone > _MANY_ALONE,
                f"{alone:.0%} of the items were met once: nobody else's taste speaks of them. "
                "Reasons then rest on attributes and text; more events help most",
            ),
            (
                named < _FEW_TEXTS,
                f"only {named:.0%} of the items have a title or text: set data.title_column and "
                "data.text_columns, or give a file of items",
            ),
            (
                described == 0,
                "no item has an attribute: reasons cannot say what an item is. Name columns in "
                "data.attribute_columns",
            ),
        )
        if doubtful
    ]
    return DataProfile(figures | _cold(events, split, warnings), warnings)


def _share(flags: pl.Series) -> float:
    return float(flags.to_numpy().mean()) if len(flags) else 0.0


def _tied(events: pl.DataFrame) -> float:
    if events.is_empty():
        return 0.0
    return float(events.select("user_id", "timestamp").is_duplicated().to_numpy().mean())


def _cold(events: pl.DataFrame, split: SplitSettings, warnings: list[str]) -> dict[str, str]:
    """What of the test events training has not met; a warning where there can be no split."""
    try:
        rows = split_in_time(events, split)
    except DataError as error:
        warnings.append(str(error))
        return {}
    train, test = (rows.filter(split=name) for name in ("train", "test"))
    shares = {
        f"{name} that training has not met": test.join(train, on=f"{name}_id", how="anti").height
        / max(test.height, 1)
        for name in ("user", "item")
    }
    sizes = {name: count for name, count in rows.group_by("split").len().iter_rows()}
    return {
        "split": ", ".join(f"{sizes[name]:,} {name}" for name in ("train", "validation", "test")),
        "cold": ", ".join(f"{share:.0%} of test events: {what}" for what, share in shares.items()),
    }


def _time_range(events: pl.DataFrame) -> str:
    first, last = events["timestamp"].min(), events["timestamp"].max()
    if not (isinstance(first, int) and isinstance(last, int)):
        return "none"
    days = (last - first) / 86_400
    return (
        f"{_day(first)} to {_day(last)}, {days:,.0f} days, {events['timestamp'].n_unique():,} times"
    )


def _day(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).date().isoformat()


def _middle(counts: pl.Series) -> str:
    found: Any = counts.median()
    return f"{found:g}" if found is not None else "no"


def _ratings(events: pl.DataFrame) -> str:
    found = events.group_by("rating").len().sort("rating")
    if found.height > 12:
        return f"{found.height} different, {found['rating'][0]:g} to {found['rating'][-1]:g}"
    return ", ".join(f"{rating:g}: {count / events.height:.0%}" for rating, count in found.rows())
