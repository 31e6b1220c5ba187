"""What was asked, in words for a terminal and as plain values for programs."""

from collections.abc import Mapping
from textwrap import fill
from typing import Any

import polars as pl

from curec_assets.explanation.facts import Fact
from curec_assets.explanation.levels import step, verdict_sentence
from curec_assets.explanation.prompts import fact_label
from curec_assets.reports.outcome import text_table
from curec_assets.serving.now import Explanation

_WIDTH = 96


def explanation_text(found: Explanation, stored: str = "") -> str:
    """Probability, reason, and every fact with its weight. `stored`: the reason that is shown."""
    facts = found.facts
    about = f" ({', '.join(facts.attributes)})" if facts.attributes else ""
    rows = [
        [fact_label(fact), step(fact.strength), _counts(fact), f"{fact.contribution:+.2f}"]
        for fact in facts.arguments
    ]
    said = [
        fill(f'"{facts.title}"{about}', _WIDTH),
        f"{found.probability:.0%} likely to be liked, by the evidence: level "
        f"{found.reason.level} of 9.",
        fill(f"Shown: {stored}", _WIDTH) if stored else "",
        fill(f"By the composer, of these facts: {found.reason.reason}", _WIDTH)
        if found.reason.reason != stored
        else "",
        text_table(["what speaks for and against it", "strength", "seen", "log-odds"], rows),
        fill(f"What the user tends to: {facts.note}", _WIDTH),
        fill(f"All kinds of facts, in log-odds: {_sums(found.contributions)}", _WIDTH),
    ]
    return "\n\n".join(each for each in said if each)


def explanation_values(found: Explanation, stored: str = "") -> dict[str, Any]:
    """The same as plain values."""
    return {
        "item_id": found.item_id,
        "title": found.facts.title,
        "probability": found.probability,
        "level": found.reason.level,
        "verdict": verdict_sentence(found.reason.level),
        "reason": stored or None,
        "composed_reason": found.reason.reason,
        "note": found.facts.note,
        "facts": [
            {
                "kind": fact.kind,
                "about": fact_label(fact),
                "strength": fact.strength,
                "count": fact.count,
                "of": fact.of,
                "contribution": fact.contribution,
            }
            for fact in found.facts.arguments
        ],
        "contributions": dict(found.contributions),
    }


def recommendation_values(rows: pl.DataFrame) -> list[dict[str, Any]]:
    """Recommendations as plain values, best first."""
    return rows.sort("rank").to_dicts()


def _counts(fact: Fact) -> str:
    return f"{fact.count} of {fact.of}" if fact.of else ""


def _sums(contributions: Mapping[str, float]) -> str:
    ordered = sorted(contributions.items(), key=lambda item: -abs(item[1]))
    return ", ".join(f"{kind.replace('_', ' ')} {value:+.2f}" for kind, value in ordered)
