"""`make results`: what `make demo` gave and cost, into docs/results.md and README.md.

Reads the home that `make demo` filled; runs nothing itself. Nothing is chosen by hand: users and
reasons are the first ones; the README shows the recommendation that is surest to be liked.
"""

import argparse
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from benchmarks.harness import ROOT
from benchmarks.tables import filled
from curec_assets.definitions import default_resources
from curec_assets.display.markdown import escaped, fenced
from curec_assets.evaluation.reason_quality import AGAINST_ITS_VERDICT
from curec_assets.reports.outcome import (
    evaluation_text,
    findings,
    printed,
    recommendations_text,
    titled,
)
from resources.storage.model_store import ModelStore
from resources.storage.warehouse import Warehouse

COMMAND = "make results"
PAGES = (ROOT / "docs" / "results.md", ROOT / "README.md")
_IN_EXCERPT = ("recommender", "best_peer", "whole", "ease", "lambdamart")
_REASONS_SHOWN = 5
_LEAST_SHARE = 0.01


def main() -> None:
    """Renew the pages."""
    options = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    options.add_argument("--home", type=Path, default=Path(os.environ.get("CUREC_HOME", ".curec")))
    home = options.parse_args().home.resolve()
    costs = costs_of(home)
    resources = default_resources(costs["profile"], home)
    made = blocks(resources["warehouse"], resources["model_store"], costs)
    for page in PAGES:
        before = page.read_text(encoding="utf-8")
        page.write_text(filled(before, made.__getitem__), encoding="utf-8")
        print(f"renewed {page}")


def costs_of(home: Path) -> dict[str, Any]:
    """`costs.json` of a home that one `make demo` filled with the profile `laptop`.

    Raises `SystemExit`, which says what to do, where it is not such a home.
    """
    path = home / "costs.json"
    again = f"run `make demo` with CUREC_HOME={home} first"
    if not path.exists():
        raise SystemExit(f"{path} is missing; {again}")
    costs: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    if costs["profile"] != "laptop":
        raise SystemExit(f"{path} is of profile {costs['profile']!r}, expected 'laptop'; {again}")
    if not costs.get("whole"):
        raise SystemExit(
            f"{path} is not of one run that made every asset, so it has no time of the whole; "
            "remove the home, or choose another, and run `make demo`"
        )
    return costs


def blocks(warehouse: Warehouse, store: ModelStore, costs: Mapping[str, Any]) -> dict[str, str]:
    """Marker → text of each block. `costs`: as `costs_of`."""
    where = f"{costs['whole']['cores']} cores, {costs['whole']['date']}"
    texts = {
        "outcome": fenced(titled(findings(warehouse, store))),
        "reasons": _reasons(warehouse),
        "costs": _costs(costs),
        "excerpt": fenced(_excerpt(warehouse)),
    }
    return {
        f"{COMMAND}, {name}": f"{text}\n\n`{COMMAND}`, {where}.\n" for name, text in texts.items()
    }


def _excerpt(warehouse: Warehouse) -> str:
    """Some rows of the evaluation, and the surest of the recommendations that are printed."""
    lines = evaluation_text(warehouse).splitlines()
    rows = [line for line in lines if line.split("  ")[0] in _IN_EXCERPT]
    surest = printed(warehouse).sort("score", descending=True, maintain_order=True).head(1)
    return "\n".join([*rows, "", f"user {surest['user_id'].item()}", recommendations_text(surest)])


def _reasons(warehouse: Warehouse) -> str:
    """What can be counted of reasons and drafts, and the first reasons by time."""
    stored = warehouse.read("recommendation_reasons")
    drafts = warehouse.read("draft_reasons").filter(split="validation")
    composed = stored.filter(source="composer").height
    against = stored.select(AGAINST_ITS_VERDICT).to_series().drop_nulls()
    texts = stored.sort("timestamp", "event_id").head(_REASONS_SHOWN)["reason"]
    return "\n".join(
        [
            f"- {stored.height} stored reasons: {_share(stored['grounded'])} pass the grounding "
            f"check, {stored['reason'].n_unique()} are different, {composed} written by the "
            f"composer. {_levels(stored)} (What is further away is written again.)",
            f"- Of those whose verdict has a side, {_share(against)} cite what weighs more to the "
            "other one.",
            f"- {drafts.height} drafts of the aligned model on validation events, which nothing "
            f"corrects. {_levels(drafts)} Rank correlation of the expected level: "
            f"{_correlation(drafts, 'expected_level')}.",
            "",
            f"The first {texts.len()} stored reasons by time, unedited:",
            *(f"\n> {escaped(text)}" for text in texts),
        ]
    )


def _levels(reasons: pl.DataFrame) -> str:
    near = (reasons["level"] - reasons["evidence_level"]).abs() <= 1
    return (
        f"Levels used: {reasons['level'].n_unique()} of 9; {_share(near)} are within one of the "
        f"evidence model's, rank correlation {_correlation(reasons, 'level')}."
    )


def _correlation(reasons: pl.DataFrame, column: str) -> str:
    of_both = pl.corr(column, "evidence_level", method="spearman")
    return f"{reasons.select(of_both).item():.2f}"


def _share(flags: pl.Series) -> str:
    return f"{flags.sum() / max(1, flags.len()):.1%}"


def _costs(costs: Mapping[str, Any]) -> str:
    """The whole, and each asset that took more than a hundredth of the work."""
    whole = costs["whole"]
    spent = {name: cost["work_seconds"] for name, cost in costs["assets"].items()}
    work = sum(spent.values())
    costly = sorted(
        ((name, seconds) for name, seconds in spent.items() if seconds >= _LEAST_SHARE * work),
        key=lambda one: -one[1],
    )
    rows = [
        f"| `{name}` | {seconds:.0f} | {seconds / work:.0%} | "
        f"{costs['assets'][name]['peak_gigabytes']:.1f} |"
        for name, seconds in costly
    ]
    rest = work - sum(seconds for _, seconds in costly)
    return "\n".join(
        [
            f"{_minutes(whole['seconds'])} in all, without installing; all assets' own work "
            f"{_minutes(work)}, peak memory {whole['peak_gigabytes']:.1f} GB.",
            "",
            "| asset | seconds | share | peak GB |",
            "|---|---|---|---|",
            *rows,
            f"| all others | {rest:.0f} | {rest / work:.0%} | |",
        ]
    )


def _minutes(seconds: float) -> str:
    return f"{seconds // 60:.0f} min {seconds % 60:.0f} s"


if __name__ == "__main__":
    main()
