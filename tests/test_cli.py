"""The console script: what it prints, and how it fails."""

import io
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from curec_assets.automation.run_progress import RunProgress
from curec_assets.cli.app import main
from curec_assets.cli.settings import describe_profiles
from curec_assets.reports.costs import cost_table
from curec_assets.reports.outcome import text_table
from curec_assets.settings import PROFILES


@pytest.fixture(autouse=True)
def umask() -> Iterator[None]:
    """What commands set for their process."""
    before = os.umask(0o022)
    yield
    os.umask(before)


def test_profiles_describe_every_setting() -> None:
    text = describe_profiles()
    for name in PROFILES:
        assert name in text
    assert "max_history = 50" in text
    assert "Longest history kept per event" in text


def test_demo_without_dagster_home_says_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo"]) == 1
    said = capsys.readouterr().err
    assert "DAGSTER_HOME is not set" in said
    assert "make demo" in said
    assert "Traceback" not in said


def test_demo_with_an_unknown_profile_lists_the_valid_ones(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    (home / "dagster.yaml").touch()
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    assert main(["demo", "--profile", "laptpo"]) == 1
    assert "laptop" in capsys.readouterr().err


def test_outcome_before_any_run_says_what_is_missing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    monkeypatch.setenv("CUREC_HOME", str(home))
    assert main(["outcome"]) == 1
    assert "materialise" in capsys.readouterr().err


def test_export_before_any_run_says_what_is_missing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, home: Path, tmp_path: Path
) -> None:
    monkeypatch.setenv("CUREC_HOME", str(home))
    assert main(["export-policy", str(tmp_path / "out"), "--profile", "smoke"]) == 1
    said = capsys.readouterr().err
    assert "materialise the asset 'reason_policy' first" in said
    assert "make demo" in said
    assert not (tmp_path / "out").exists()


def test_export_of_an_unknown_asset_lists_the_valid_ones(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["export-policy", "out", "--asset", "recommender"]) == 2
    assert "aligned_llm" in capsys.readouterr().err


@pytest.mark.parametrize(("command", "mode"), [("prune", 0o700), ("profiles", 0o755)])
def test_an_old_home_is_closed_to_other_users(home: Path, command: str, mode: int) -> None:
    models = home / "models"
    models.mkdir()
    models.chmod(0o755)
    subprocess.run(
        [sys.executable, "-m", "curec_assets.cli", command],
        env={**os.environ, "CUREC_HOME": str(home)},
        check=True,
        capture_output=True,
    )
    assert stat.S_IMODE(models.stat().st_mode) == mode


def test_help_is_had_without_the_heavy_libraries() -> None:
    script = (
        "import sys\n"
        "from curec_assets.cli.app import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "heavy = {'torch', 'transformers', 'peft', 'trl', 'huggingface_hub'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for command in ("demo", "outcome", "export-policy", "profiles"):
        assert command in done.stdout


def test_progress_tells_of_assets_checks_and_the_root_of_a_failure() -> None:
    out = io.StringIO()
    progress = RunProgress(2, out)

    @dg.asset
    def good() -> dg.MaterializeResult[None]:
        return dg.MaterializeResult(metadata={"cached": True})

    @dg.asset_check(asset=good)
    def doubtful() -> dg.AssetCheckResult:
        return dg.AssetCheckResult(
            passed=False, severity=dg.AssetCheckSeverity.WARN, description="few rows"
        )

    @dg.asset(deps=[good])
    def broken() -> None:
        raise ValueError("no disk")

    definitions = dg.Definitions(
        assets=[good, broken], asset_checks=[doubtful], loggers={"progress": progress.logger()}
    )
    definitions.resolve_implicit_global_asset_job_def().execute_in_process(
        raise_on_error=False, run_config={"loggers": {"progress": {}}}
    )
    shown = out.getvalue()
    assert "[ 1/2] good" in shown
    assert "cached" in shown
    assert "warn on good: doubtful: few rows" in shown
    assert progress.failure == "broken failed: no disk"
    assert [cost.name for cost in progress.costs] == ["good"]
    assert "orchestration 10.0 s (100.0%)" in cost_table(progress.run_costs(), 10.0)


def test_progress_tells_of_a_step_that_is_tried_again() -> None:
    out = io.StringIO()
    progress = RunProgress(1, out)
    tries: list[str] = []

    @dg.asset(retry_policy=dg.RetryPolicy(max_retries=1))
    def moody() -> None:
        tries.append("once")
        if len(tries) == 1:
            raise ValueError("server is away")

    definitions = dg.Definitions(assets=[moody], loggers={"progress": progress.logger()})
    definitions.resolve_implicit_global_asset_job_def().execute_in_process(
        run_config={"loggers": {"progress": {}}}
    )
    assert "moody is tried again: server is away" in out.getvalue()
    assert "[ 1/1] moody" in out.getvalue()
    assert progress.failure is None


def test_text_table_aligns() -> None:
    assert text_table(["a", "b"], [["long", "1"], ["x", "22"]]) == "a      b\nlong   1\nx     22"
