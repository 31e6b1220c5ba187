"""What was asked, in words for a terminal and as plain values for programs."""

import math
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from textwrap import fill, wrap
from typing import Any

import polars as pl

from curec_assets.evaluation.bootstrap import Interval
from curec_assets.explanation.facts import Fact
from curec_assets.explanation.levels import step, verdict_sentence
from curec_assets.explanation.prompts import fact_label
from curec_assets.reports.outcome import text_table
from curec_assets.serving.compared import Compared, Measures, Piece, marked
from curec_assets.serving.now import Explanation

_WIDTH = 96
_COLUMN = 46


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
        f"{found.probability:.0%} likely to be liked, by the evidence: level {found.level} of 9.",
        fill(f"Shown: {stored}", _WIDTH) if stored else "",
        fill(f"By the composer, of these facts: {found.reason}", _WIDTH)
        if found.reason != stored
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
        "level": found.level,
        "verdict": verdict_sentence(found.level),
        "reason": stored or None,
        "composed_reason": found.reason,
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


def comparison_rows(compared: Compared, measures: Measures) -> list[tuple[str, str]]:
    """What was measured, each with its name."""
    auc_a, auc_b = map(_interval, measures.auc)
    return [
        ("events that both wrote about", f"{measures.events:,} of {measures.users:,} users"),
        ("texts that are the same", f"{measures.equal:.0%}"),
        ("mean distance of levels (1 to 9)", f"{measures.level_gap:.2f}"),
        ("levels at most one apart", f"{measures.within_one:.0%}"),
        (f"AUC of the level, {compared.a}", auc_a),
        (f"AUC of the level, {compared.b}", auc_b),
        ("the first less the second", _interval(measures.auc_difference)),
    ]


def comparison_text(
    compared: Compared, measures: Measures, samples: Sequence[Mapping[str, Any]]
) -> str:
    """Measures, then samples in two columns; what the other text lacks stands in brackets."""
    said = [text_table([f"{compared.a} and {compared.b}", ""], comparison_rows(compared, measures))]
    for row in samples:
        one, other = marked(row["reason_a"], row["reason_b"])
        outcome = "liked" if row["liked"] else "not liked"
        title = fill(f'"{row["title"]}" (event {row["event_id"]}, {outcome})', _WIDTH)
        heads = [
            f"{name}: level {row[f'level_{side}']}, by the {row[f'source_{side}']}"
            for name, side in ((compared.a, "a"), (compared.b, "b"))
        ]
        columns = [wrap(head, _COLUMN) for head in heads]
        texts = [wrap(_bracketed(pieces), _COLUMN) for pieces in (one, other)]
        lines = [
            f"{left:<{_WIDTH - _COLUMN}}{right}".rstrip()
            for pair in (columns, texts)
            for left, right in zip_longest(*pair, fillvalue="")
        ]
        said.append("\n".join([title, *lines]))
    return "\n\n".join(said)


def comparison_values(
    compared: Compared, measures: Measures, samples: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """The same as plain values."""
    auc = dict(zip((compared.a, compared.b), map(_values, measures.auc), strict=True))
    return {
        "a": compared.a,
        "b": compared.b,
        "events": measures.events,
        "users": measures.users,
        "equal": measures.equal,
        "level_gap": measures.level_gap,
        "within_one": measures.within_one,
        "auc": auc,
        "auc_difference": _values(measures.auc_difference),
        "samples": [
            {name: row[name] for name in ("event_id", "item_id", "title", "liked")}
            | {
                f"{name}_{side}": row[f"{name}_{side}"]
                for side in ("a", "b")
                for name in ("reason", "level", "source")
            }
            for row in samples
        ],
    }


def _bracketed(pieces: Sequence[Piece]) -> str:
    return " ".join(f"[{words}]" if differs else words for words, differs in pieces)


def _interval(found: Interval) -> str:
    return "undefined: one outcome only" if math.isnan(found.value) else str(found)


def _values(found: Interval) -> dict[str, float] | None:
    return None if math.isnan(found.value) else vars(found)


def _counts(fact: Fact) -> str:
    return f"{fact.count} of {fact.of}" if fact.of else ""


def _sums(contributions: Mapping[str, float]) -> str:
    ordered = sorted(contributions.items(), key=lambda item: -abs(item[1]))
    return ", ".join(f"{kind.replace('_', ' ')} {value:+.2f}" for kind, value in ordered)
