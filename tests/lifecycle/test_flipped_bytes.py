"""One byte of any file of a home is another: it is found and named, or it does no harm."""

import random
import shutil
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from benchmarks.chaos.home import Home, Undisturbed
from benchmarks.harness import ROOT
from curec_assets.definitions import default_resources, recipes
from curec_assets.lifecycle.doctor import of_models
from resources.errors import ArtifactError

pytestmark = [pytest.mark.graph, pytest.mark.timeout(600)]

TIMES = 3
MODELS = [recipe.name for recipe in recipes() if recipe.writes == "artifact"]


def flip(file: Path, place: float) -> bytes:
    """Change one bit of one byte; what was there before."""
    before = file.read_bytes()
    at = int(place * len(before))
    file.write_bytes(before[:at] + bytes([before[at] ^ 1 << at % 8]) + before[at + 1 :])
    return before


@pytest.mark.fault("a byte of any file of any model changes", tried=200)
def test_every_file_of_a_model_is_found_or_says_the_same(filled_home: Home) -> None:
    store = default_resources("smoke", filled_home.path)["model_store"]
    chance = random.Random(1)
    tried = 0
    for asset in MODELS:
        manifest = store.current(asset).manifest
        for file in sorted((filled_home.path / "models" / asset).rglob("*")):
            for _ in range(TIMES if file.is_file() else 0):
                before = flip(file, chance.random())
                tried += 1
                [finding] = of_models(store, [asset])
                if finding.sound:  # such as a blank for another
                    assert store.current(asset).manifest == manifest, file
                else:
                    with pytest.raises(ArtifactError):
                        store.current(asset)
                    assert "materialise" in finding.fix
                file.write_bytes(before)
        assert store.current(asset).manifest == manifest
    assert tried >= 200


@pytest.mark.fault("a byte of all that is kept changes, and everything is made again")
def test_kept_completions_and_fits_are_good_or_not_used(
    filled_home: Home, undisturbed_run: Undisturbed
) -> None:
    models = filled_home.path / "models"
    kept = [*models.rglob("completions.jsonl"), *models.glob("evidence_fits/.*/*.safetensors")]
    kept.append(filled_home.path / "costs.json")
    assert len(kept) >= 4
    chance = random.Random(1)
    for file in kept:
        flip(file, chance.random())
    for made in ("generated_reasons", "evidence_model"):
        shutil.rmtree(models / made)
    with duckdb.connect(filled_home.path / "warehouse.duckdb") as warehouse:
        for table in ("evidence_numbers", "event_evidence", "recommendations"):
            warehouse.execute(f'DROP TABLE "{table}"')
    done = subprocess.run(
        [sys.executable, "-m", "curec_assets.cli", "demo"],
        cwd=ROOT,
        env=filled_home.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert filled_home.data_versions() == undisturbed_run.data_versions
