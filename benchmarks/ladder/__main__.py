"""`make benchmark`: the rungs of the method and its peers, on one protocol; resumable.

`RUNGS=numbers` needs no language model. `RUNGS=untuned,aligned,rl,corrected` write reasons on the
same events (`REASONS` of each split at most) and read them with a plain reader; what is written is
kept, so an interrupted run goes on where it was. Any profile, any data set.
"""

import argparse
import math
import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl

from benchmarks.harness import ROOT, Record, write_records
from benchmarks.home import Home
from benchmarks.ladder import page, records, rungs, texts, walks
from benchmarks.tables import update
from curec_assets.automation.interruption import interruptible
from curec_assets.automation.run_progress import RunProgress
from curec_assets.definitions import build_definitions, default_resources, recipes

FIGURES = ROOT / "docs" / "figures" / "benchmark.json"
THINNED = ROOT / "docs" / "figures" / "benchmark-thinned.json"
"""Of the second data set (`benchmarks.thinned`)."""
PAGE = ROOT / "docs" / "benchmark.md"
NUMBERS = "numbers"
RUNGS = (NUMBERS, *texts.WRITERS, texts.CORRECTED, *walks.WALKS)
_WITHOUT_LANGUAGE_MODEL = (
    *("events", "raw_items", "items", "interactions", "training_snapshot"),
    *("event_splits", "item_embeddings", "evidence_numbers", "evidence_model"),
    *("event_evidence", "serving_snapshot", "baseline_recommenders", "recommender_ranking"),
)


def main() -> None:
    """Materialise what the rungs need, measure, keep the figures, renew the page."""
    options = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    options.add_argument("--home", type=Path, default=Path(os.environ.get("CUREC_HOME", ".curec")))
    options.add_argument("--profile", default=os.environ.get("CUREC_PROFILE", "benchmark"))
    options.add_argument("--rungs", default=",".join(RUNGS), help=f"of {', '.join(RUNGS)}")
    options.add_argument("--reasons", type=int, help="events of each split, at most; default: all")
    options.add_argument("--figures", type=Path, default=FIGURES)
    options.add_argument(
        "--no-recbole",
        dest="recbole",
        action="store_false",
        help="leave out the peer that needs the environment .venv-recbole",
    )
    chosen = options.parse_args()
    wanted = [name for name in chosen.rungs.split(",") if name]
    unknown = set(wanted) - set(RUNGS)
    if unknown:
        options.error(f"no such rungs: {', '.join(sorted(unknown))}; of {', '.join(RUNGS)}")
    images = page.IMAGES if chosen.figures == FIGURES else chosen.figures.parent
    command = f"make benchmark CUREC_PROFILE={chosen.profile}"
    materialise(chosen.profile, chosen.home, everything=bool(set(wanted) - {NUMBERS}))
    home = Home.open(chosen.home, profile=chosen.profile)
    found = measure(
        home,
        wanted,
        reasons=chosen.reasons,
        recbole=chosen.recbole,
        images=images,
        commands=(f"{command} RUNGS={NUMBERS}", command),
    )
    write_records(chosen.figures, found)
    if chosen.figures == FIGURES:
        update(PAGE, (FIGURES, THINNED))
        if set(wanted) - {NUMBERS}:
            text = PAGE.read_text(encoding="utf-8")
            PAGE.write_text(page.with_samples(text, _judged_test_reasons(home)), encoding="utf-8")


def measure(
    home: Home,
    wanted: Sequence[str],
    *,
    reasons: int | None = None,
    recbole: bool = True,
    images: Path,
    commands: tuple[str, str],
) -> list[Record]:
    """The figures of the rungs, printed too.

    `reasons`: events of each split, at most. `images`: where pictures go. `commands`: what
    reproduces the figures without, and with a language model.
    """
    of_numbers, of_texts = commands
    with_reasons = [name for name in wanted if name != NUMBERS]
    with tempfile.TemporaryDirectory(dir=home.path) as made:
        folder = Path(made)
        rungs.build_parts(home, folder)
        peers = rungs.by_recbole(home, folder) if recbole else rungs.NO_PEERS
        found = records.of_numbers(home, folder, peers, of_numbers, images)
        if with_reasons:
            found += _of_texts(
                home,
                folder,
                with_reasons,
                events=texts.chosen_events(home, reasons),
                resources=default_resources(home.profile.name, home.path),
                command=of_texts,
                images=images,
            )
    found = [record for record in found if not math.isnan(record.value)]
    print("\n".join(f"{r.name:<40} {r.value:.4f} [{r.low:.4f}, {r.high:.4f}]" for r in found))
    return found


def _of_texts(
    home: Home,
    folder: Path,
    wanted: Sequence[str],
    *,
    events: pl.DataFrame,
    resources: Mapping[str, Any],
    command: str,
    images: Path,
) -> list[Record]:
    """Write what is not written yet, read it, and draw how reinforcement and correction went."""
    workspace = home.path / "benchmark"
    needed = ("generator_factory", "text_encoder", "accelerator")
    with dg.build_resources({name: resources[name] for name in needed}) as opened:
        rows = {
            name: walks.walked(home, name, opened, workspace)
            for name in wanted
            if name in walks.WALKS
        }
        if texts.CORRECTED in wanted:
            rows = {texts.CORRECTED: walks.stored_walk(home), **rows}
        policy = home.current("reason_policy").manifest.data_version
        written = [
            texts.of_walk(rung, events, rows[rung], policy)
            if rung in rows
            else texts.write(home, rung, events, opened.generator_factory)
            for rung in wanted
        ]
        for each in written:
            if each.rung != texts.CORRECTED:  # the table `recommendation_reasons`
                each.keep(home.path)
        device = opened.accelerator.resolve().device
        found = records.of_texts(
            home, folder, events, written, opened.text_encoder, device, command
        )
    page.draw_policy(home.current("reason_policy").manifest.metrics, images)
    if rows:
        page.draw_rounds(walks.rounds_of(home, rows), images)
    return found


def _judged_test_reasons(home: Home) -> pl.DataFrame:
    outcomes = home.warehouse.read("event_splits", ["event_id", "liked"])
    return walks.stored_walk(home).filter(split="test").join(outcomes, on="event_id")


def materialise(profile: str, home: Path, *, everything: bool) -> None:
    """What the rungs are made from; what is stored already is not made again."""
    progress = RunProgress(len(recipes()) if everything else len(_WITHOUT_LANGUAGE_MODEL))
    definitions = build_definitions(
        profile=profile, home=home, loggers={"progress": progress.logger()}
    )
    selection = None if everything else [dg.AssetKey(name) for name in _WITHOUT_LANGUAGE_MODEL]
    started = time.monotonic()
    with dg.DagsterInstance.ephemeral() as instance:
        result = interruptible(
            definitions.resolve_job_def("everything"),
            instance,
            asset_selection=selection,
            raise_on_error=False,
            run_config={"loggers": {"progress": {}}},
        )
    if not result.success:
        raise SystemExit(f"{progress.failure}; run the same command again to go on from here")
    print(f"assets: {time.monotonic() - started:.0f} s", flush=True)


if __name__ == "__main__":
    main()
