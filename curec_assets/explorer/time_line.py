"""A user's history as a picture that the server draws.

Not by Altair, as the other charts: it stands on the page that comes first, and Vega is there a
third of a second after the words. SVG has what it needs: places in percent, so that it is as wide
as the page, and titles, which a browser shows beside the pointer.
"""

from collections.abc import Callable, Iterator
from html import escape
from typing import Any

import marimo as mo
import polars as pl
from matplotlib.dates import AutoDateLocator, date2num, num2date
from matplotlib.ticker import MaxNLocator

from curec_assets.explorer.pages import AGAINST, FOR, HEIGHT, said
from curec_assets.explorer.stored import OUTCOME

_LEFT, _RIGHT = 4.0, 95.0
"""Where times begin and end, in percent of the width."""
_HIGHEST, _LOWEST = 14.0, HEIGHT - 34.0
"""Where the best and the worst rating stand, in pixels from above."""
_DAYS_WITH_HOURS = 5
_LEGEND = (
    f'<small><span style="color:{FOR}">\u25cf</span> liked '
    f'<span style="color:{AGAINST}">\u25cf</span> not liked</small>'
)


def time_line(history: pl.DataFrame, *, rated: bool) -> mo.Html:
    """What a user met, when, and how it was `rated`, if it was; `history`: see `Stored`."""
    if history.is_empty():
        return said("No event of theirs is stored.")
    days = date2num(history["when"].to_numpy())
    dates = AutoDateLocator(minticks=4, maxticks=8)
    first, last = dates.nonsingular(days.min(), days.max())
    across = _scale((first, last), (_LEFT, _RIGHT))
    parts = list(_times(dates, first, last, across))
    heights = [(_HIGHEST + _LOWEST) / 2] * history.height
    if rated:
        ratings = history["rating"].to_list()
        up = _scale((min(ratings), max(ratings)), (_LOWEST, _HIGHEST))
        heights = [up(rating) for rating in ratings]
        parts += _levels(min(ratings), max(ratings), up)
    points = zip(history.with_columns(OUTCOME).iter_rows(named=True), days, heights, strict=True)
    parts += [_point(event, across(day), height, rated=rated) for event, day, height in points]
    picture = (
        f'<svg role="img" aria-label="What was met, by time{" and rating" * rated}" width="100%" '
        f'height="{HEIGHT}" fill="currentColor" font-size="11">{"".join(parts)}</svg>'
    )
    return mo.Html(picture + _LEGEND * rated)


def _times(
    dates: AutoDateLocator, first: float, last: float, across: Callable[[float], float]
) -> Iterator[str]:
    form = "%Y-%m-%d" if last - first > _DAYS_WITH_HOURS else "%Y-%m-%d %H:%M"
    for day in dates.tick_values(num2date(first), num2date(last)):
        if first <= day <= last:
            yield (
                f'<text x="{across(day):.2f}%" y="{HEIGHT - 6}" text-anchor="middle">'
                f"{num2date(day).strftime(form)}</text>"
            )


def _levels(worst: float, best: float, up: Callable[[float], float]) -> Iterator[str]:
    for rating in {*MaxNLocator(5, steps=[1, 2, 5, 10]).tick_values(worst, best)}:
        if worst <= rating <= best:
            yield (
                f'<text x="0" y="{up(rating):.1f}" dy="4">{rating:g}</text>'
                f'<line x1="{_LEFT - 1}%" x2="100%" y1="{up(rating):.1f}" y2="{up(rating):.1f}" '
                'stroke="currentColor" opacity="0.12"/>'
            )


def _point(event: dict[str, Any], across: float, height: float, *, rated: bool) -> str:
    how = f", {event['rating']:g}, {event['outcome']}" if rated else ""
    return (
        f'<circle cx="{across:.2f}%" cy="{height:.1f}" r="4.5" opacity="0.7" '
        f'fill="{FOR if event["liked"] else AGAINST}">'
        f"<title>{escape(event['title'])}{how}, {event['when']:%Y-%m-%d %H:%M} UTC</title></circle>"
    )


def _scale(values: tuple[float, float], places: tuple[float, float]) -> Callable[[float], float]:
    """From values to places; in the middle where there is one value."""
    (low, high), (start, end) = values, places

    def place(value: float) -> float:
        share = (value - low) / (high - low) if high > low else 0.5
        return start + (end - start) * share

    return place
