"""A base model that only its own Python code can load: refused, or run by every step."""

import json
import sys
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from transformers import dynamic_module_utils

from curec_assets.automation.lanes import FAST, INGEST, REFIT, SLOW
from curec_assets.definitions import build_definitions
from resources.models.tiny import build_language_model

pytestmark = [pytest.mark.graph, pytest.mark.timeout(600)]

CODE = """from transformers import LlamaConfig, LlamaForCausalLM


class OwnConfig(LlamaConfig):
    model_type = "own"


class Own(LlamaForCausalLM):
    config_class = OwnConfig
"""


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """The tiny model, of a kind that transformers does not know."""
    folder = tmp_path / "own"
    build_language_model(folder)
    config = json.loads((folder / "config.json").read_text())
    own = {
        "model_type": "own",
        "auto_map": {"AutoConfig": "own.OwnConfig", "AutoModelForCausalLM": "own.Own"},
    }
    (folder / "config.json").write_text(json.dumps({**config, **own}))
    (folder / "own.py").write_text(CODE)
    return folder


@pytest.fixture(autouse=True)
def _modules_of_this_test(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dynamic_module_utils, "HF_MODULES_CACHE", str(tmp_path / "modules"))
    monkeypatch.setattr(sys, "path", [*sys.path])  # transformers adds its folder of modules


def materialize(home: Path, base: Path, allowed: list[str]) -> dg.ExecuteInProcessResult:
    model = {"base": str(base), "allow_code_of": allowed}
    settings: dict[str, Any] = {"profile": "smoke", "language_model": model}
    return (
        build_definitions(profile="smoke", home=home)
        .resolve_job_def("everything")
        .execute_in_process(
            run_config={"resources": {"settings": {"config": settings}}}, raise_on_error=False
        )
    )


def test_it_is_refused_until_allowed_and_then_runs_every_step(base: Path, home: Path) -> None:
    refused = materialize(home, base, [])
    assert not refused.success
    (failure,) = [event for event in refused.all_events if event.is_step_failure]
    assert failure.step_key == "aligned_llm"
    message = failure.step_failure_data.error_display_string
    assert "needs Python code of its own (own.Own, own.OwnConfig)" in message
    named = message.split("allow_code_of = ['")[1].split("']")[0]

    allowed = materialize(home, base, [named])
    assert allowed.success
    made = {
        event.asset_key.to_user_string() for event in allowed.get_asset_materialization_events()
    }
    assert made == {*INGEST, *FAST, *REFIT, *SLOW}
