"""Loading the definitions: cheap, complete, and the same graph as yesterday."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from curec_assets.automation.lanes import FAST, INGEST, REFIT, SLOW
from curec_assets.definitions import build_definitions
from resources.errors import ConfigError

SNAPSHOT = Path(__file__).parent / "snapshots" / "graph.json"
HEAVY = ["datasets", "matplotlib", "pandas", "peft", "sentence_transformers", "sklearn", "torch"]
HEAVY += ["transformers", "trl", "vllm", "xgrammar"]


@pytest.fixture
def definitions(home: Path) -> dg.Definitions:
    return build_definitions(profile="smoke", home=home)


def in_fresh_process(code: str) -> str:
    command = [sys.executable, "-c", code]
    # With compiled modules, as every installation has them.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_definitions_are_loadable(definitions: dg.Definitions) -> None:
    dg.Definitions.validate_loadable(definitions)


def test_loading_imports_nothing_heavy() -> None:
    loaded = in_fresh_process(
        "import sys; from curec_assets.definitions import defs; defs();"
        f"print(*[name for name in {HEAVY!r} if name in sys.modules])"
    )
    assert loaded == ""


def test_loading_costs_little_beside_an_import_of_dagster() -> None:
    # Processor time, both of one process: a single ratio scatters by a tenth on a shared machine.
    code = (
        "import time, dagster; alone = time.process_time()\n"
        "from curec_assets.definitions import defs; defs(); print(time.process_time() / alone)"
    )
    in_fresh_process(code)  # compiles .pyc files
    ratios = [float(in_fresh_process(code)) for _ in range(5)]
    # 1.6 to 1.75 on a machine with little else to do; what else runs on it only ever adds.
    assert min(ratios) <= 1.85, sorted(ratios)


def test_importing_the_package_has_no_side_effects() -> None:
    code = "import sys, curec_assets; print('dagster' in sys.modules)"
    assert in_fresh_process(code) == "False"


def test_an_unknown_profile_is_refused_with_the_valid_ones(home: Path) -> None:
    with pytest.raises(ConfigError, match=r"laptpo.*smoke, laptop, benchmark, gpu"):
        build_definitions(profile="laptpo", home=home)


def test_environment_is_read_when_definitions_are_built(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUREC_PROFILE", "benchmark")
    monkeypatch.setenv("CUREC_HOME", str(home))
    resources = build_definitions().resources or {}
    assert resources["settings"].profile == "benchmark"
    assert resources["warehouse"].path == str(home / "warehouse.duckdb")


def test_every_asset_is_in_exactly_one_lane(definitions: dg.Definitions) -> None:
    lanes = [*INGEST, *FAST, *REFIT, *SLOW]
    assert len(lanes) == len(set(lanes))
    assert set(lanes) == set(graph(definitions)["assets"])


def test_the_slow_lane_is_never_automatic(definitions: dg.Definitions) -> None:
    repository = definitions.get_repository_def()
    for name in ("fast_lane", "source_files"):
        [target] = repository.get_sensor_def(name).targets
        job = repository.get_job(target.job_name)
        targeted = {key.to_user_string() for key in job.asset_layer.executable_asset_keys}
        assert targeted == {*INGEST, *FAST}


def test_retraining_makes_all_that_it_reads(definitions: dg.Definitions) -> None:
    assets = definitions.resolve_asset_graph()
    retrained = {
        key.to_user_string()
        for key in definitions.resolve_job_def("retrain").asset_layer.executable_asset_keys
    }
    assert {*SLOW, *REFIT} <= retrained
    for name in retrained:
        read = {key.to_user_string() for key in assets.get(dg.AssetKey(name)).parent_keys}
        assert read <= retrained | set(INGEST), name


def test_refitting_trains_no_language_model(definitions: dg.Definitions) -> None:
    job = definitions.resolve_job_def("refit")
    refitted = {key.to_user_string() for key in job.asset_layer.executable_asset_keys}
    assert refitted - {*REFIT} <= set(FAST)
    assert {"recommender", "recommender_ranking", "recommendations"} <= refitted


def test_a_policys_archive_has_all_of_the_slow_lane(definitions: dg.Definitions) -> None:
    node = definitions.resolve_asset_graph().get(dg.AssetKey("policy_archive"))
    assert {key.to_user_string() for key in node.parent_keys} == {*SLOW} - {"policy_archive"}


def test_every_asset_says_what_it_is(definitions: dg.Definitions) -> None:
    assets = definitions.resolve_asset_graph()
    for key in assets.get_all_asset_keys():
        node = assets.get(key)
        assert node.description, key
        assert "\n  " not in node.description, f"{key}: shown as code"
        assert node.code_version, key
        assert node.owners == ["team:curec"], key
        assert node.kinds, key
        assert node.pools <= {"gpu", "warehouse"}, key
        assert len(node.pools) == 1, key


def test_graph_is_the_recorded_one(
    definitions: dg.Definitions, pytestconfig: pytest.Config
) -> None:
    found = graph(definitions)
    if pytestconfig.getoption("--update-snapshots"):
        SNAPSHOT.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    recorded = json.loads(SNAPSHOT.read_text(encoding="utf-8"))
    assert found == recorded, "if this change is wanted: pytest --update-snapshots"


def graph(definitions: dg.Definitions) -> dict[str, Any]:
    """Names and edges of everything that the definitions hold."""
    assets = definitions.resolve_asset_graph()
    repository = definitions.get_repository_def()
    return {
        "assets": {
            key.to_user_string(): {
                "deps": sorted(parent.to_user_string() for parent in assets.get(key).parent_keys),
                "group": assets.get(key).group_name,
                "kinds": sorted(assets.get(key).kinds),
                "pool": sorted(assets.get(key).pools),
                "checks": {
                    check.name: "blocking" if assets.get(check).blocking else "warns"
                    for check in sorted(assets.get(key).check_keys)
                },
            }
            for key in sorted(assets.get_all_asset_keys())
        },
        "jobs": {
            name: sorted(
                key.to_user_string()
                for key in definitions.resolve_job_def(name).asset_layer.executable_asset_keys
            )
            for name in ("everything", "refresh", "refit", "retrain")
        },
        "resources": sorted(definitions.resources or {}),
        "schedules": sorted(schedule.name for schedule in repository.schedule_defs),
        "sensors": {sensor.name: sensor.default_status.value for sensor in repository.sensor_defs},
    }
