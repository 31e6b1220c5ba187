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
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl

from benchmarks.harness import ROOT, Record, Spread, read_records, write_records
from benchmarks.home import Home
from benchmarks.ladder import readers, rungs, texts
from benchmarks.tables import rendered
from curec_assets.automation.run_progress import RunProgress
from curec_assets.core.seeds import derive
from curec_assets.definitions import build_definitions, default_resources, recipes
from curec_assets.evaluation.protocol import evaluate, sliced_events
from curec_assets.evaluation.reason_quality import reason_quality
from curec_assets.recommender.outputs import held_out_outputs
from curec_assets.reward.gate import stored_gate

FIGURES = ROOT / "docs" / "figures" / "benchmark.json"
PAGE = ROOT / "docs" / "benchmark.md"
NUMBERS = "numbers"
RUNGS = (NUMBERS, *texts.WRITERS, texts.CORRECTED)
_WITHOUT_LANGUAGE_MODEL = (
    *("raw_interactions", "raw_items", "items", "interactions", "training_snapshot"),
    *("event_splits", "histories", "item_embeddings", "evidence_numbers", "evidence_model"),
    *("event_evidence", "baseline_recommenders", "recommender_ranking"),
)
_TARGETS = {
    ("AUC", "whole"): ">= 0.8",
    ("LogLoss", "whole"): "<= 0.538",
    ("GAUC", "whole"): ">= 0.748",
    ("AUC", "evidence"): ">= 0.797",
    ("AUC", "whole - best_peer"): ">= 0.02",
    ("NDCG@10", "lambdamart"): ">= 0.115",
    ("HR@10", "lambdamart"): ">= 0.22",
}
_RECORDED = {
    "auc": ("AUC", ("id", "id_text", "evidence", "numbers", "mlp", "whole", "best_peer")),
    "logloss": ("LogLoss", ("evidence", "whole", "best_peer")),
    "gauc": ("GAUC", ("evidence", "whole", "best_peer")),
    "ece": ("ECE", ("evidence", "whole")),
    "hr@10": ("HR@10", ("lambdamart", "linear_ranker", "ease", "ease_text", "item_knn")),
    "ndcg@10": ("NDCG@10", ("lambdamart", "linear_ranker", "ease", "ease_text", "popularity")),
}
_DIFFERENCES = (
    ("auc", "AUC", "whole - best_peer"),
    ("auc", "AUC", "evidence - best_peer"),
    ("ndcg@10", "NDCG@10", "lambdamart - ease"),
    ("ndcg@10", "NDCG@10", "lambdamart - ease_text"),
)


def main() -> None:
    """Materialise what the rungs need, measure, keep the figures, renew the page."""
    options = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    options.add_argument("--home", type=Path, default=Path(os.environ.get("CUREC_HOME", ".curec")))
    options.add_argument("--profile", default=os.environ.get("CUREC_PROFILE", "benchmark"))
    options.add_argument("--rungs", default=",".join(RUNGS), help=f"of {', '.join(RUNGS)}")
    options.add_argument("--reasons", type=int, default=1000, help="events of each split, at most")
    options.add_argument("--figures", type=Path, default=FIGURES)
    chosen = options.parse_args()
    wanted = [name for name in chosen.rungs.split(",") if name]
    unknown = set(wanted) - set(RUNGS)
    if unknown:
        options.error(f"no such rungs: {', '.join(sorted(unknown))}; of {', '.join(RUNGS)}")
    with_reasons = [name for name in wanted if name != NUMBERS]
    materialise(chosen.profile, chosen.home, everything=bool(with_reasons))
    home = Home.open(chosen.home, profile=chosen.profile)
    records = []
    with tempfile.TemporaryDirectory(dir=home.path) as folder:
        rungs.build_parts(home, Path(folder))
        command = f"make benchmark CUREC_PROFILE={chosen.profile}"
        records += numbers_records(home, Path(folder), f"{command} RUNGS={NUMBERS}")
        if with_reasons:
            records += reasons_records(
                home,
                Path(folder),
                with_reasons,
                chosen.reasons,
                resources=default_resources(chosen.profile, home.path),
                command=command,
            )
    records = [record for record in records if not math.isnan(record.value)]
    write_records(chosen.figures, records)
    if chosen.figures == FIGURES:
        page = PAGE.read_text(encoding="utf-8")
        PAGE.write_text(rendered(page, read_records(FIGURES)), encoding="utf-8")
    print("\n".join(f"{r.name:<40} {r.value:.4f} [{r.low:.4f}, {r.high:.4f}]" for r in records))


def materialise(profile: str, home: Path, *, everything: bool) -> None:
    """What the rungs are made from; what is stored already is not made again."""
    progress = RunProgress(len(recipes()) if everything else len(_WITHOUT_LANGUAGE_MODEL))
    definitions = build_definitions(
        profile=profile, home=home, loggers={"progress": progress.logger()}
    )
    selection = None if everything else [dg.AssetKey(name) for name in _WITHOUT_LANGUAGE_MODEL]
    started = time.monotonic()
    with dg.DagsterInstance.ephemeral() as instance:
        result = definitions.resolve_job_def("everything").execute_in_process(
            instance=instance,
            asset_selection=selection,
            raise_on_error=False,
            run_config={"loggers": {"progress": {}}},
        )
    if not result.success:
        raise SystemExit(f"{progress.failure}; run the same command again to go on from here")
    print(f"assets: {time.monotonic() - started:.0f} s", flush=True)


def numbers_records(home: Home, folder: Path, command: str) -> list[Record]:
    """All that needs no language model, on all test events."""
    predictions, ranks = held_out_outputs(
        home.current("baseline_recommenders").path,
        folder,
        home.current("recommender_ranking").path,
    )
    nobody = pl.DataFrame({"event_id": []}, schema={"event_id": pl.String})
    found = rungs.measured(
        evaluate(
            sliced_events(home.warehouse.read("event_splits"), nobody),
            predictions.filter(~pl.col("recommender").str.ends_with("_reason")),
            ranks,
            samples=home.profile.recommender.bootstrap_samples,
            seed=home.profile.seed,
        )
    )
    pairs = [
        (f"{short}/{name}", metric, name)
        for short, (metric, names) in _RECORDED.items()
        for name in names
    ]
    pairs += [
        (f"{short}/{name.replace(' ', '')}", metric, name) for short, metric, name in _DIFFERENCES
    ]
    return [
        _record(command, label, found[name, metric], _TARGETS.get((metric, name)))
        for label, metric, name in pairs
        if (name, metric) in found
    ]


def reasons_records(
    home: Home,
    folder: Path,
    wanted: list[str],
    most: int,
    *,
    resources: Mapping[str, Any],
    command: str,
) -> list[Record]:
    """Texts of the rungs, on the same events: read alone, and added to two recommenders."""
    events = texts.chosen_events(home, most)
    workspace = home.path / "benchmark"
    with dg.build_resources(
        {name: resources[name] for name in ("generator_factory", "text_encoder")}
    ) as opened:
        written = [
            texts.corrected(home, events)
            if rung == texts.CORRECTED
            else texts.write(home, rung, events, opened.generator_factory, workspace)
            for rung in wanted
        ]
        readings = [
            reading
            for each in written
            if (reading := readers.read(each, opened.text_encoder, home.profile))
        ]
        predictions = rungs.with_texts(home, folder, written, opened.text_encoder)
    records = [record for reading in readings for record in _reading_records(command, reading)]
    names = [(base, f"{base} + {rung}") for base in ("id_text", "numbers") for rung in wanted]
    found = rungs.measured(
        evaluate(
            sliced_events(home.warehouse.read("event_splits"), events).join(
                predictions.select("event_id").unique(), on="event_id", maintain_order="left"
            ),
            predictions,
            predictions.clear().rename({"probability": "rank"}),
            samples=home.profile.recommender.bootstrap_samples,
            seed=derive(home.profile.seed, "ladder"),
            differences=[(with_it, base) for base, with_it in names],
        )
    )
    for base, with_it in names:
        difference = found.get((f"{with_it} - {base}", "AUC"))
        if difference:
            label = f"auc/{with_it.replace(' ', '')}-{base}"
            target = ">= 0.015" if base == "id_text" else None
            records.append(_record(command, label, difference, target))
    gate = stored_gate(home.current("reward_model").manifest)
    for name, of_reader in (("recommender", gate.recommender), ("reader", gate.reader)):
        over_null = vars(of_reader.over_null)
        records.append(_record(command, f"gate/{name}", over_null, None, "AUC, own - null"))
    for measure in reason_quality(
        home.warehouse.read("recommendation_reasons"),
        home.warehouse.read("event_splits", ["event_id", "liked"]),
        level_cuts=home.profile.evidence.level_cuts,
        samples=home.profile.recommender.bootstrap_samples,
        seed=home.profile.seed,
    ):
        records.append(_record(command, f"reasons/{measure.name}", vars(measure.interval), None))
    return records


def _reading_records(command: str, reading: readers.Reading) -> list[Record]:
    rung = reading.rung
    plain = {
        "spearman": (reading.spearman, ">= 0.85" if rung == "aligned" else None),
        "within_one": (reading.within_one, ">= 0.75" if rung == "aligned" else None),
        "levels": (float(reading.levels), ">= 9" if rung == "aligned" else None),
        "grounded": (reading.grounded, None),
        "ECE": (reading.ece, "<= 0.03" if rung == texts.CORRECTED else None),
        "expected level, Platt-scaled, LogLoss": (reading.platt, None),
        "evidence model's AUC": (reading.evidence, None),
    }
    targets = {"aligned": ">= 0.73", "corrected": ">= 0.77"}
    return [
        _record(command, f"reader/{rung}", vars(reading.auc), targets.get(rung), "AUC"),
        Record.of(f"reader/{rung}, test events", reading.events, "", command),
        _record(command, f"reader/{rung}, shuffled", vars(reading.shuffled), None, "AUC"),
        _record(command, f"reader/{rung}, LogLoss", vars(reading.log_loss), None, "nats"),
        *(
            Record.of(f"reader/{rung}, {name}", value, "", command, target)
            for name, (value, target) in plain.items()
        ),
    ]


def _record(
    command: str, name: str, row: dict[str, float], target: str | None, unit: str = ""
) -> Record:
    spread = Spread(row["value"], row["low"], row["high"])
    return Record.of(name, spread, unit, command, target)


if __name__ == "__main__":
    main()
