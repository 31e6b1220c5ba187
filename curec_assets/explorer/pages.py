"""The pages of the explorer, each from what is stored to what is shown.

All text of data is escaped here, once: titles, reasons, notes and ids.
"""

from collections.abc import Sequence
from html import escape
from typing import Any

import altair as alt
import marimo as mo
import polars as pl

from curec_assets.explanation.facts import Fact
from curec_assets.explanation.levels import step
from curec_assets.explanation.prompts import fact_label
from curec_assets.explorer.stored import Stored
from curec_assets.reasons.lasting import WAITS
from curec_assets.reports.outcome import numbers_behind
from curec_assets.serving.now import Explanation

FOR, AGAINST = "#1b7f5c", "#b3493b"
_PROSE = ("reason", "note")
_WRITERS = {"policy": "policy", "composer": "composer", WAITS: "composer until the policy does"}
HEIGHT = 220


def heading(text: str) -> mo.Html:
    """A heading inside a page."""
    return mo.Html(f'<h3 style="font-weight:600;margin-top:1em">{escape(text)}</h3>')


def said(text: str) -> mo.Html:
    """A paragraph."""
    return mo.Html(f"<p>{escape(text)}</p>")


def rows(frame: pl.DataFrame, at_once: int = 12) -> Any:
    """A table to look through, so many rows at once."""
    return mo.ui.table(
        frame,
        selection=None,
        show_column_summaries=False,
        show_data_types=False,
        page_size=at_once,
        wrapped_columns=[name for name in _PROSE if name in frame.columns],
    )


def recommendations(found: pl.DataFrame) -> mo.Html:
    """Each item with its reason, and the numbers behind what is cited."""
    if found.is_empty():
        return said(
            "The table has no recommendations for this user: `curec recommend` computes them."
        )
    parts = []
    for row in found.iter_rows(named=True):
        behind = numbers_behind(row["facts"])
        cited = "".join(
            f'<li style="color:{FOR if fact["strength"] > 0 else AGAINST}">'
            f"{escape(fact_label(_fact(fact)))}: {escape(step(fact['strength']))}</li>"
            for fact in row["facts"]
        )
        parts.append(
            f'<div data-item="{escape(row["item_id"])}" style="margin:0 0 1em 0">'
            f"<b>{row['rank']}. {escape(row['title'])}</b> "
            f"<small>probability of a like {row['score']:.0%}, level {row['level']} of 9, reason "
            f"by the {_WRITERS[row['source']]}</small>"
            f"<br>{escape(row['reason'])}<br><small>{escape(behind)}</small>"
            f"<ul>{cited}</ul></div>"
        )
    return mo.Html("".join(parts))


def explanation(each: Sequence[Explanation]) -> Any:
    """Evidence for and against, with its numbers: as it is, and as it would be."""
    named = list(zip(("now", "if left out"), each, strict=False))
    verdicts = "".join(
        f'<p data-verdict="{when}"><b>{when}</b>: {one.probability:.0%} by the evidence. Level '
        f"{one.level} of 9, as the {one.source} says it: {escape(one.reason)}</p>"
        for when, one in named
    )
    bars = pl.concat(
        pl.DataFrame(
            {
                "kind": [kind.replace("_", " ") for kind in one.contributions],
                "log-odds": list(one.contributions.values()),
                "when": when,
            }
        )
        for when, one in named
    )
    chart = (
        alt.Chart(bars)
        .mark_bar()
        .encode(
            x=alt.X("log-odds:Q", title="contribution to the evidence model's score, log-odds"),
            y=alt.Y("kind:N", sort="-x", title=None),
            yOffset=alt.YOffset("when:N"),
            color=alt.Color("when:N", title=None),
            tooltip=["kind:N", alt.Tooltip("log-odds:Q", format="+.2f"), "when:N"],
        )
        .properties(width="container", height=HEIGHT)
    )
    return mo.vstack([mo.Html(verdicts), chart, rows(_facts(each[0].facts.arguments))])


def item(stored: Stored, item_id: str) -> Any:
    """What an item is, how it is rated or when it was taken, and how reasons speak about it."""
    known = stored.item(item_id)
    attributes: Any = known["attributes"] or []
    named = "; ".join(f"{each['kind']}: {each['value']}" for each in attributes)
    if stored.rated:
        bars = alt.Chart(stored.ratings_of(item_id)).mark_bar(color=FOR)
        chart = bars.encode(x="rating:O", y="events:Q", tooltip=["rating:O", "events:Q"])
    else:
        bars = alt.Chart(stored.times_of(item_id)).mark_bar(color=FOR)
        chart = bars.encode(
            x=alt.X("yearmonth(when):T", title=None), y=alt.Y("count()", title="events")
        )
    about, people = stored.reasons_about(item_id), stored.people_of(item_id)
    return mo.vstack(
        [
            heading(str(known["title"])),
            said(named or "No attribute is known."),
            chart.properties(width="container", height=HEIGHT),
            heading(f"Reasons about it: {about.height}"),
            rows(about),
            heading(f"Who met it: {people.height}"),
            rows(people),
        ]
    )


def lineage(stored: Stored, ui: str) -> Any:
    """Which data, code and settings made each asset. `ui`: where Dagster's pages are."""
    return mo.vstack(
        [
            said(f"Every asset as it is stored. Dagster's pages ({ui}; `make ui`) show the graph."),
            _made(stored.lineage, ui),
        ]
    )


def made_by(stored: Stored, user: str, ui: str) -> Any:
    """What made a user's recommendations, and their reasons."""
    return _made(stored.made_by(user), ui)


def _made(found: pl.DataFrame, ui: str) -> Any:
    address = pl.format("{}/assets/{}", pl.lit(ui), "asset").alias("in Dagster")
    return rows(found.select("asset", address, pl.exclude("asset")), at_once=50)


def _fact(stored: dict[str, Any]) -> Fact:
    return Fact(**stored)


def _facts(arguments: Sequence[Fact]) -> pl.DataFrame:
    return pl.DataFrame(
        [
            {
                "what speaks for and against it": fact_label(fact),
                "strength": step(fact.strength),
                "seen": f"{fact.count} of {fact.of}" if fact.of else "",
                "log-odds": round(fact.contribution, 3),
            }
            for fact in arguments
        ],
        schema={
            "what speaks for and against it": pl.String,
            "strength": pl.String,
            "seen": pl.String,
            "log-odds": pl.Float64,
        },
    )
