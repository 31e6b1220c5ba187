"""A home that runs are killed in, and what has to be true of it once a run has come to its end."""

import json
import os
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import dagster as dg

from benchmarks.harness import ROOT
from curec_assets.definitions import default_resources, recipes
from curec_assets.lifecycle.doctor import of_models, of_tables

PROFILE = "smoke"
_KEY = slice(17, 49)  # of a line of a journal: after its checksum


@dataclass(frozen=True)
class Home:
    """A CURec home of the profile `smoke`."""

    path: Path

    @classmethod
    def make(cls, path: Path) -> Self:
        """The one at `path`, if need be an empty one, set up as `make setup` does."""
        (path / "dagster").mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / "deploy" / "dagster.yaml", path / "dagster")
        return cls(path)

    @property
    def environment(self) -> dict[str, str]:
        """For a process that works on this home."""
        return {
            **os.environ,
            "CUREC_HOME": str(self.path),
            "CUREC_PROFILE": PROFILE,
            "DAGSTER_HOME": str(self.path / "dagster"),
        }

    @contextmanager
    def instance(self) -> Iterator[dg.DagsterInstance]:
        """Its Dagster instance."""
        with dg.DagsterInstance.from_config(str(self.path / "dagster")) as instance:
            yield instance

    def data_versions(self) -> dict[str, str]:
        """Asset → content hash of what is stored. Raises `ArtifactError` where nothing is."""
        stored = default_resources(PROFILE, self.path)
        return {
            recipe.name: (
                stored["warehouse"].existing_manifest(recipe.name)
                if recipe.writes == "table"
                else stored["model_store"].current(recipe.name).manifest
            ).data_version
            for recipe in recipes()
        }

    def unsound(self) -> list[str]:
        """Tables and models that are not what their manifests say, in words."""
        stored = default_resources(PROFILE, self.path)
        tables = [recipe for recipe in recipes() if recipe.writes == "table"]
        models = [recipe.name for recipe in recipes() if recipe.writes == "artifact"]
        findings = [
            *of_tables(stored["warehouse"], tables),
            *of_models(stored["model_store"], models),
        ]
        return [f"{each.what}: {each.found}" for each in findings if not each.sound]

    def leftovers(self) -> list[Path]:
        """Files and folders of unfinished work."""
        begun = (".work", ".writing", ".warehouse.")
        return [path for path in self.path.rglob("*") if any(name in path.name for name in begun)]

    def completions(self) -> Counter[str]:
        """Prompt → how many times its completions were paid for, by every journal."""
        return Counter(
            line[_KEY].decode()
            for journal in self.path.rglob("completions.jsonl")
            for line in journal.read_bytes().splitlines()
        )

    def statuses(self) -> list[tuple[str, str]]:
        """(job, status) of every run, the first one first."""
        with self.instance() as instance:
            return [(run.job_name, run.status.value) for run in reversed(instance.get_runs())]

    def slots(self) -> int:
        """Pool slots that are held."""
        with self.instance() as instance:
            storage = instance.event_log_storage
            return sum(
                storage.get_concurrency_info(pool).active_slot_count
                for pool in storage.get_concurrency_keys()
            )


@dataclass(frozen=True)
class Undisturbed:
    """What a run that nobody disturbed made, and how long each asset took."""

    code: str
    """Names the code that made it."""
    data_versions: dict[str, str]
    completions: int
    seconds: dict[str, float]
    """Asset → seconds of its step, in the order of the run."""

    @classmethod
    def read(cls, path: Path) -> Self:
        """From a file."""
        values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return cls(**values)

    def differences(self, home: Home) -> list[str]:
        """What is otherwise in a home whose last run has come to its end, in words."""
        problems = [
            f"{name}: data version {found}, not {self.data_versions[name]}"
            for name, found in home.data_versions().items()
            if found != self.data_versions[name]
        ]
        problems += home.unsound()
        problems += [f"{path.relative_to(home.path)} is left" for path in home.leftovers()]
        written = home.completions()
        twice = sum(written.values()) - len(written)
        if twice:
            problems.append(f"{twice} completions were written twice")
        if len(written) != self.completions:
            problems.append(f"{len(written)} completions, not {self.completions}")
        if held := home.slots():
            problems.append(f"{held} pool slots are held")
        ended = ("SUCCESS", "FAILURE", "CANCELED")
        problems += [f"a run is {status}" for _, status in home.statuses() if status not in ended]
        return problems
