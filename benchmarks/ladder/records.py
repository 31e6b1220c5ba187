"""What the ladder measures, as records of `docs/figures/benchmark.json`."""

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from benchmarks.harness import Record, Spread
from benchmarks.home import Home
from benchmarks.ladder import gains, page, readers, rungs, texts
from curec_assets.core.seeds import derive
from curec_assets.evaluation.bootstrap import interval
from curec_assets.evaluation.protocol import DIFFERENCES, evaluate, sliced_events
from curec_assets.evaluation.reason_quality import reason_quality
from curec_assets.recommender.outputs import held_out_outputs
from curec_assets.reward.gate import stored_gate
from curec_assets.reward.texts import Encoder

_TARGETS = {
    ("AUC", "whole"): ">= 0.8",
    ("LogLoss", "whole"): "<= 0.538",
    ("GAUC", "whole"): ">= 0.748",
    ("AUC", "evidence"): ">= 0.797",
    ("AUC", "whole - best_peer"): ">= 0.02",
    ("NDCG@10", "lambdamart"): ">= 0.115",
    ("HR@10", "lambdamart"): ">= 0.22",
}
_PEERS = ("best_peer", rungs.RECBOLE)
_RECORDED = {
    "auc": (
        "AUC",
        ("id", "id_text", "evidence", "numbers", "mlp", "whole", "best_peer", "recbole_din"),
    ),
    "logloss": ("LogLoss", ("evidence", "whole", "best_peer", "recbole_din")),
    "gauc": ("GAUC", ("evidence", "whole", "best_peer", "recbole_din")),
    "ece": ("ECE", ("evidence", "whole")),
    "hr@10": ("HR@10", ("lambdamart", "linear_ranker", "ease", "ease_text", "item_knn")),
    "ndcg@10": ("NDCG@10", ("lambdamart", "linear_ranker", "ease", "ease_text", "popularity")),
}
_DIFFERENCES = (
    ("auc", "AUC", "whole - best_peer"),
    ("auc", "AUC", "evidence - best_peer"),
    ("auc", "AUC", f"whole - {rungs.RECBOLE}"),
    ("ndcg@10", "NDCG@10", "lambdamart - ease"),
    ("ndcg@10", "NDCG@10", "lambdamart - ease_text"),
)
_COLD = {"cold_user": "users new since the snapshot", "cold_item": "items new since it"}
_OF_COLD = ("evidence", "whole", "best_peer", "whole - best_peer")
_COMPARED = (
    ("aligned", "untuned"),
    ("rl", "aligned"),
    ("corrected", "rl"),
    ("corrected", "uncorrected"),
    ("corrected", "random_order"),
)
"""Rungs whose readers are compared on the same resamples: AUC of the first minus the second's."""


def of_numbers(
    home: Home, folder: Path, peers: pl.DataFrame, command: str, images: Path
) -> list[Record]:
    """All that needs no language model, on all test events; its picture goes into `images`.

    `peers`: predictions of recommenders that are not the project's.
    """
    predictions, ranks = held_out_outputs(
        home.current("baseline_recommenders").path,
        folder,
        home.current("recommender_ranking").path,
    )
    nobody = pl.DataFrame({"event_id": []}, schema={"event_id": pl.String})
    events = sliced_events(home.warehouse.read("event_splits"), nobody)
    evaluation = evaluate(
        events,
        pl.concat([predictions.filter(~pl.col("recommender").str.ends_with("_reason")), peers]),
        ranks,
        samples=home.profile.recommender.bootstrap_samples,
        seed=home.profile.seed,
        differences=(*DIFFERENCES, ("whole", rungs.RECBOLE)),
    )
    page.draw_recommenders(predictions, events.select("event_id", "liked"), images)
    found = rungs.measured(evaluation)
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
    ] + [
        _record(command, f"auc/{name.replace(' ', '')}, {said}", cold[name, "AUC"], None)
        for slice_, said in _COLD.items()
        for cold in [rungs.measured(evaluation, slice_)]
        for name in _OF_COLD
        if (name, "AUC") in cold
    ]


def of_texts(
    home: Home,
    folder: Path,
    events: pl.DataFrame,
    written: Sequence[texts.Written],
    encoder: Encoder,
    device: str,
    command: str,
) -> list[Record]:
    """Texts of the rungs, on the same `events`: read alone, and added to two recommenders."""
    wanted = [rung.rung for rung in written]
    reader = readers.taught(home, encoder, events["event_id"])
    readings = {
        each.rung: reading
        for each in written
        if (reading := readers.read(each, reader, encoder, home.profile))
    }
    predictions = rungs.with_texts(home, folder, written, encoder)
    records = [record for reading in readings.values() for record in _of_reading(command, reading)]
    for better, than in _COMPARED:
        if better in readings and than in readings:
            gained = interval(readings[better].aucs - readings[than].aucs)
            records.append(_record(command, f"reader/{better}-{than}", vars(gained), None))
    gained_by = {rung.rung: gains.of_rung(home, rung, encoder, device) for rung in written}
    for better, than in _COMPARED:
        if better in gained_by and than in gained_by:
            gain = gains.compared(home, gained_by[better], gained_by[than])
            for name, value in vars(gain).items() if gain else ():
                records.append(
                    _record(command, f"{name}/{better}-{than}", vars(value), None, "nats")
                )
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


def _of_reading(command: str, reading: readers.Reading) -> list[Record]:
    rung = reading.rung
    plain = {
        "spearman": (reading.spearman, ">= 0.85" if rung == "aligned" else None),
        "within_one": (reading.within_one, ">= 0.75" if rung == "aligned" else None),
        "levels": (float(reading.levels), ">= 9" if rung == "aligned" else None),
        "grounded": (reading.grounded, None),
        "ECE": (reading.ece, "<= 0.03" if rung == texts.CORRECTED else None),
        "ECE if it were right": (reading.least_ece, None),
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
