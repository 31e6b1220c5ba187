"""Every asset, end to end, in one process with tiny real models."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest
from transformers import AutoModelForCausalLM

from benchmarks.chaos.home import Undisturbed
from benchmarks.harness import Record, read_records
from benchmarks.ladder.__main__ import main as ladder
from benchmarks.ladder.texts import WRITERS
from benchmarks.ladder.walks import WALKS
from curec_assets.automation.lanes import FAST, INGEST, REFIT, SLOW
from curec_assets.cli.app import main
from curec_assets.core.provenance import content_hash
from curec_assets.definitions import build_definitions, default_resources
from curec_assets.policy.archive import MODELS
from curec_assets.reports.outcome import outcome
from curec_assets.settings import Settings, load_profile

pytestmark = [pytest.mark.graph, pytest.mark.timeout(600)]

ASSETS = (*INGEST, *FAST, *REFIT, *SLOW)


@dataclass(frozen=True)
class GraphRuns:
    """Two runs of `everything` on one home."""

    definitions: dg.Definitions
    instance: dg.DagsterInstance
    home: Path
    first: dg.ExecuteInProcessResult
    second: dg.ExecuteInProcessResult


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GraphRuns]:
    home = tmp_path_factory.mktemp("graph")
    definitions = build_definitions(profile="smoke", home=home)
    job = definitions.resolve_job_def("everything")
    with dg.DagsterInstance.ephemeral() as instance:
        first = job.execute_in_process(instance=instance)
        second = job.execute_in_process(instance=instance)
        yield GraphRuns(definitions, instance, home, first, second)


def materializations(result: dg.ExecuteInProcessResult) -> dict[str, dg.AssetMaterialization]:
    events = [
        event.step_materialization_data.materialization
        for event in result.all_events
        if event.is_step_materialization
    ]
    return {event.asset_key.to_user_string(): event for event in events}


def value(materialization: dg.AssetMaterialization, name: str) -> Any:
    return materialization.metadata[name].value


def data_versions(result: dg.ExecuteInProcessResult) -> dict[str, str]:
    return {
        name: (event.tags or {})["dagster/data_version"]
        for name, event in materializations(result).items()
    }


def test_every_asset_is_made(runs: GraphRuns) -> None:
    assert runs.first.success
    assert set(materializations(runs.first)) == set(ASSETS)
    assert not any(value(event, "cached") for event in materializations(runs.first).values())


def test_a_second_run_does_no_work_and_changes_nothing(runs: GraphRuns) -> None:
    assert all(value(event, "cached") for event in materializations(runs.second).values())
    assert data_versions(runs.second) == data_versions(runs.first)


def test_every_materialization_tells_where_it_comes_from(runs: GraphRuns) -> None:
    for name, event in materializations(runs.first).items():
        manifest = value(event, "manifest")
        assert manifest["asset"] == name
        assert manifest["fingerprint"] == value(event, "fingerprint")
        assert manifest["data_version"] == data_versions(runs.first)[name]
        assert value(event, "dagster/uri"), name


def test_tables_show_their_schema_and_row_count(runs: GraphRuns) -> None:
    for name, event in materializations(runs.first).items():
        if value(event, "manifest")["row_count"] is not None:
            # Nothing is wrong with the toy set, and nothing is newer than its snapshot.
            empty = name in ("quarantine", "live_reasons")
            assert (value(event, "dagster/row_count") == 0) is empty, name
            assert value(event, "dagster/column_schema").columns, name


def test_every_check_is_evaluated_and_no_blocking_one_fails(runs: GraphRuns) -> None:
    declared = runs.definitions.resolve_asset_graph().asset_check_keys
    evaluations = runs.first.get_asset_check_evaluations()
    assert {evaluation.asset_check_key for evaluation in evaluations} == set(declared)
    failed = [
        evaluation
        for evaluation in evaluations
        if not evaluation.passed and evaluation.severity == dg.AssetCheckSeverity.ERROR
    ]
    assert failed == []


def test_the_outcome_can_be_printed(runs: GraphRuns) -> None:
    resources = default_resources("smoke", runs.home)
    text = outcome(resources["warehouse"], resources["model_store"], ASSETS)
    for expected in ("Evaluation", "gate", "first step", "recommend", "make ui", ".html"):
        assert expected in text


def test_the_policy_can_be_exported(
    runs: GraphRuns, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUREC_HOME", str(runs.home))
    assert main(["export-policy", str(tmp_path / "out"), "--profile", "smoke"]) == 0
    card = (tmp_path / "out" / "README.md").read_text()
    stored = value(materializations(runs.first)["reason_policy"], "first_reward")
    assert f"| reward | {round(stored, 3):.4g} |" in card
    AutoModelForCausalLM.from_pretrained(tmp_path / "out" / "merged")


def test_every_rung_of_the_benchmark_is_measured_on_the_same_home(
    runs: GraphRuns, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    figures = tmp_path / "figures.json"
    arguments = ["--home", str(runs.home), "--profile", "smoke", "--figures", str(figures)]
    monkeypatch.setattr("sys.argv", ["ladder", *arguments, "--no-recbole", "--reasons", "20"])
    ladder()
    first = _by_name(figures)
    for rung in (*WRITERS, *WALKS):
        assert 0 <= first[f"reader/{rung}"].value <= 1
        assert first[f"reader/{rung}, test events"].value > 0
        assert f"auc/numbers+{rung}-numbers" in first
    assert first["reader/corrected, grounded"].value == 1
    assert "reader/corrected-uncorrected" in first
    assert first["gain/rl-aligned"].low <= first["gain/rl-aligned"].value
    assert "user_independent/rl-aligned" in first
    assert {path.name for path in tmp_path.glob("*.png")} == {
        f"benchmark-{name}.png"
        for name in ("reliability", "reward", "terms", "kl", "rounds-auc", "rounds-ece")
    }
    assert first["auc/whole-best_peer"].low <= first["auc/whole-best_peer"].high
    ladder()
    assert _by_name(figures) == first


def _by_name(figures: Path) -> dict[str, Record]:
    """The records but for their day: what a second run measures may come after midnight."""
    return {record.name: replace(record, date="") for record in read_records(figures)}


def test_automation_is_silent_after_the_run(runs: GraphRuns) -> None:
    sensor = runs.definitions.get_repository_def().get_sensor_def("fast_lane")
    resources = default_resources("smoke", runs.home)
    context = dg.build_sensor_context(
        instance=runs.instance,
        resources={name: resources[name] for name in ("settings", "model_store")},
    )
    found = sensor(context)
    assert isinstance(found, dg.SensorResult)
    assert not found.run_requests
    assert found.skip_reason and found.skip_reason.skip_message == "everything has followed"


@pytest.mark.fault("another home, another process")
def test_the_same_seed_gives_the_same_content_in_another_home(
    runs: GraphRuns, undisturbed_run: Undisturbed
) -> None:
    assert undisturbed_run.data_versions == data_versions(runs.first)


class _Silent:
    """A writer that must not be asked for anything."""

    engine = "none"

    def write(self, prompts: Any, sampling: Any) -> Any:
        pytest.fail(f"{len(prompts)} prompts were written again")

    def prompt_tokens(self, prompt: Any) -> int:
        return 0


class _SilentFactory:
    @contextmanager
    def open(self, base: Any, adapter: Any, options: Any) -> Iterator[_Silent]:
        yield _Silent()


def test_what_was_written_once_is_not_written_again_whatever_else_changes(
    runs: GraphRuns, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    shutil.copytree(runs.home, home)
    settings = Settings(profile="smoke", reasons={"events_at_once": 3})
    changed = build_definitions(
        profile="smoke",
        home=home,
        resources={"settings": settings, "generator_factory": _SilentFactory()},
    )
    before = materializations(runs.first)["generated_reasons"]
    again = changed.resolve_job_def("everything").execute_in_process(
        asset_selection=[dg.AssetKey("generated_reasons")]
    )
    after = materializations(again)["generated_reasons"]
    assert not value(after, "cached")
    assert value(after, "fingerprint") != value(before, "fingerprint")


def five_new(known: pl.DataFrame) -> pl.DataFrame:
    """Events of known users with known items, after all that is known."""
    return (
        known.sort("timestamp")
        .tail(5)
        .with_columns(
            event_id=pl.col("event_id") + " new",
            item_id=pl.col("item_id").reverse(),
            timestamp=pl.col("timestamp").max() + 1_000 * pl.int_range(1, 6),
        )
    )


def arrive(warehouse: Any, known: pl.DataFrame, events: pl.DataFrame) -> None:
    rows = pl.concat([known, events])
    manifest = warehouse.existing_manifest("interactions")
    now = {"data_version": content_hash(rows, key=["event_id"]), "row_count": rows.height}
    warehouse.write("interactions", rows, manifest.model_copy(update=now))


def test_refit_fits_the_recommender_on_new_events_and_no_language_model(
    runs: GraphRuns, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    shutil.copytree(runs.home, home)
    definitions = build_definitions(profile="smoke", home=home)
    resources = default_resources("smoke", home)
    warehouse, store = resources["warehouse"], resources["model_store"]
    known = warehouse.read("interactions")
    arrive(warehouse, known, five_new(known))
    before = data_versions(runs.first)
    made = materializations(definitions.resolve_job_def("refit").execute_in_process())
    assert not set(made) & set(SLOW)
    assert warehouse.read("serving_snapshot").height == known.height + 5
    assert value(made["serving_evidence"], "events_read") == 5
    for name in ("recommender", "recommender_ranking", "recommender_evaluation"):
        assert not value(made[name], "cached"), name
    now = {name: store.current(name).manifest.data_version for name in MODELS}
    assert now == {name: before[name] for name in MODELS}


def test_new_events_get_reasons_and_each_is_written_once(runs: GraphRuns, tmp_path: Path) -> None:
    home = tmp_path / "home"
    shutil.copytree(runs.home, home)
    definitions = build_definitions(profile="smoke", home=home)
    warehouse = default_resources("smoke", home)["warehouse"]
    known = warehouse.read("interactions")
    new = five_new(known)

    def written() -> tuple[pl.DataFrame, int]:
        job = definitions.resolve_job_def("everything")
        assert job.execute_in_process(asset_selection=[dg.AssetKey("live_reasons")]).success
        kept = home.glob("models/completions/.*.kept/completions.jsonl")
        return warehouse.read("live_reasons"), sum(
            len(path.read_bytes().split(b"\n")) for path in kept
        )

    assert written()[0].is_empty()
    arrive(warehouse, known, new.head(4))
    before, lines = written()
    assert before["event_id"].to_list() == new["event_id"].head(4).to_list()
    assert before["grounded"].all()
    arrive(warehouse, known, new)
    after, more = written()
    assert after.head(4).equals(before)
    assert after["event_id"].to_list() == new["event_id"].to_list()
    attempts = 1 + load_profile("smoke").reasons.max_regenerations
    assert 0 < more - lines <= 2 * attempts
    # A late event of another user moves everybody's numbers, and nobody else's reason.
    others = known.filter(~pl.col("user_id").is_in(new["user_id"].implode()))
    late = new.head(1).with_columns(
        event_id=pl.lit("late"),
        user_id=pl.lit(others["user_id"][0]),
        timestamp=pl.lit(known["timestamp"].min() + 1, pl.Int64),
    )
    arrive(warehouse, known, pl.concat([new, late]))
    then, most = written()
    assert then.filter(pl.col("event_id") != "late").equals(after)
    assert then.height == after.height + 1 and most - more <= 2 * attempts


def test_shorter_prompts_are_another_piece_of_work(runs: GraphRuns) -> None:
    shorter = build_definitions(
        profile="smoke",
        home=runs.home,
        resources={
            "settings": Settings(profile="smoke", language_model={"max_prompt_tokens": 300})
        },
    )
    written = ("draft_reasons", "reason_policy", "generated_reasons", "recommendations")
    again = shorter.resolve_job_def("everything").execute_in_process(
        instance=runs.instance, asset_selection=[dg.AssetKey(name) for name in written]
    )
    assert {
        name: value(e, "cached") for name, e in materializations(again).items()
    } == dict.fromkeys(written, False)
