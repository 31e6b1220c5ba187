"""Going back to an earlier policy: everything as it was, nothing trained, no text written again."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from curec_assets.automation import use_policy as module
from curec_assets.automation.lanes import FAST, INGEST, REFIT, SLOW
from curec_assets.automation.use_policy import use_policy
from curec_assets.cli.app import main
from curec_assets.core.inputs import completions_folder
from curec_assets.definitions import build_definitions, default_resources, recipes
from curec_assets.policy.archive import (
    ARCHIVE,
    MODELS,
    begin_switch,
    members,
    unfinished_switch,
)
from curec_assets.settings import Settings
from resources.errors import ArtifactError, ConfigError
from resources.storage.retention import Leftover, kept_versions, leftovers, remove

pytestmark = [pytest.mark.graph, pytest.mark.timeout(600)]

DAGSTER_YAML = Path(__file__).parents[2] / "deploy" / "dagster.yaml"
ASSETS = (*INGEST, *FAST, *REFIT, *SLOW)
# Another seed: other toy data, other splits, other models.
SETTINGS = {
    seed: Settings(profile="smoke", seed=seed, data={"source": "toy", "most_lost_share": 1.0})
    for seed in (1, 2)
}


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


@dataclass(frozen=True)
class Home:
    """A home with its Dagster instance, in which two generations were trained, A and then B."""

    folder: Path
    instance: dg.DagsterInstance
    policies: dict[int, str]
    """Seed → policy."""
    versions: dict[int, dict[str, str]]
    """Seed → asset → data version, after all of both lanes was made."""

    @property
    def warehouse(self) -> Any:
        return default_resources("smoke", self.folder)["warehouse"]

    @property
    def store(self) -> Any:
        return default_resources("smoke", self.folder)["model_store"]

    def stored(self) -> dict[str, str]:
        """Asset → data version of what is stored now."""
        return data_versions(self.folder)

    def use(self, policy: str, **options: Any) -> None:
        use_policy(policy, recipes(), self.warehouse, self.store, self.instance, **options)

    def asked_for(self, seed: int) -> tuple[list[str], str]:
        """What the fast lane's sensor asks for, and what it says otherwise."""
        definitions = build_definitions(profile="smoke", home=self.folder)
        resources = {"settings": SETTINGS[seed], "model_store": self.store}
        context = dg.build_sensor_context(instance=self.instance, resources=resources)
        found: Any = definitions.get_repository_def().get_sensor_def("fast_lane")(context)
        requests = getattr(found, "run_requests", None) or []
        skipped = found if isinstance(found, dg.SkipReason) else found.skip_reason
        names = [key.to_user_string() for each in requests for key in each.asset_selection]
        return names, skipped.skip_message if skipped else ""

    def follow_without_writing(self, seed: int) -> None:
        """What the sensor asks for, and `refit`, by a writer that fails when it is asked."""
        asked, said = self.asked_for(seed)
        assert asked, said
        assert not set(asked) & set(SLOW)
        make(self, seed, [*asked, *REFIT], generator_factory=_SilentFactory())


def data_versions(folder: Path) -> dict[str, str]:
    """Of all but the ledger, which tells how its content came to be."""
    resources = default_resources("smoke", folder)
    return {
        recipe.name: (
            resources["warehouse"].existing_manifest(recipe.name)
            if recipe.writes == "table"
            else resources["model_store"].current(recipe.name).manifest
        ).data_version
        for recipe in recipes()
        if recipe.name not in ("events", "batches")
    }


def make(home: Home, seed: int, names: list[str], **resources: Any) -> None:
    definitions = build_definitions(
        profile="smoke", home=home.folder, resources={"settings": SETTINGS[seed], **resources}
    )
    job = definitions.resolve_job_def("everything")
    selection = [dg.AssetKey(name) for name in names]
    assert job.execute_in_process(instance=home.instance, asset_selection=selection).success


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    folder = tmp_path_factory.mktemp("policies") / "home"
    with dg.DagsterInstance.ephemeral() as instance:
        home = Home(folder, instance, {}, {})
        for seed in SETTINGS:
            make(home, seed, list(ASSETS))
            home.policies[seed] = home.store.current_fingerprint(ARCHIVE)
            home.versions[seed] = home.stored()
        yield home


@pytest.fixture
def home(trained: Home, tmp_path: Path) -> Iterator[Home]:
    """A copy that a test may change; Dagster's records are of its own."""
    folder = tmp_path / "home"
    shutil.copytree(trained.folder, folder)
    with dg.DagsterInstance.ephemeral() as instance:
        for name in ASSETS:
            events = trained.instance.fetch_materializations(dg.AssetKey(name), limit=10)
            for record in reversed(events.records):
                assert record.asset_materialization is not None
                instance.report_runless_asset_event(record.asset_materialization)
        yield Home(folder, instance, trained.policies, trained.versions)


def of_lane(versions: dict[str, str], lane: tuple[str, ...]) -> dict[str, str]:
    return {name: version for name, version in versions.items() if name in lane}


def test_two_generations_share_nothing(trained: Home) -> None:
    first, second = trained.versions[1], trained.versions[2]
    assert all(first[name] != second[name] for name in SLOW)


def test_back_and_forth_everything_is_as_it_was_and_no_text_is_written_again(home: Home) -> None:
    for seed in (1, 2):
        home.use(home.policies[seed])
        assert of_lane(home.stored(), SLOW) == of_lane(home.versions[seed], SLOW)
        home.follow_without_writing(seed)
        assert home.stored() == home.versions[seed]
        assert home.asked_for(seed) == ([], "everything has followed")


def test_interrupted_anywhere_the_same_call_goes_on(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def steps_until(last: int) -> Callable[..., Any]:
        """Dies in place of the step of this number."""
        count = iter(range(1_000))

        def step(call: Callable[..., Any]) -> Callable[..., Any]:
            def counted(*arguments: Any, **options: Any) -> Any:
                if next(count) == last:
                    raise Killed
                return call(*arguments, **options)

            return counted

        return step

    store_type, warehouse_type = type(home.store), type(home.warehouse)
    before = home.stored()
    killed = 0
    while True:
        with monkeypatch.context() as patch:
            step = steps_until(killed)
            patch.setattr(warehouse_type, "write_together", step(warehouse_type.write_together))
            patch.setattr(store_type, "set_current", step(store_type.set_current))
            patch.setattr(
                home.instance,
                "report_runless_asset_event",
                step(home.instance.report_runless_asset_event),
            )
            patch.setattr(module, "end_switch", step(module.end_switch))
            try:
                home.use(home.policies[1])
                break
            except Killed:
                killed += 1
        asked, _ = home.asked_for(1)
        assert "recommendation_reasons" not in asked
        assert unfinished_switch(Path(home.store.root)) == home.policies[1]
    assert killed == 1 + 5 + len(SLOW) + 1  # the tables, the pointers, Dagster's records, the note
    assert unfinished_switch(Path(home.store.root)) is None
    assert of_lane(home.stored(), SLOW) == of_lane(home.versions[1], SLOW)
    assert of_lane(home.stored(), (*INGEST, *FAST)) == of_lane(before, (*INGEST, *FAST))
    asked, _ = home.asked_for(1)
    assert "recommendation_reasons" in asked and not set(asked) & set(SLOW)


def test_nothing_follows_what_is_half_one_policys(home: Home) -> None:
    begin_switch(home.store, home.policies[1])
    asked, said = home.asked_for(2)
    assert asked == []
    assert f"`curec use-policy {home.policies[1]}` was interrupted; give it again" in said


def test_with_another_policys_settings_the_lane_waits_and_says_for_what(home: Home) -> None:
    home.use(home.policies[1])
    asked, said = home.asked_for(2)
    assert asked == []
    assert "waits for `retrain`: setting seed 1 → 2" in said


def test_a_generation_goes_or_stays_whole(home: Home) -> None:
    def found(before: int) -> list[Leftover]:
        kept = kept_versions(home.store, before)
        completions = {completions_folder(home.store, each.data_version) for each in kept}
        return leftovers(home.store, kept, completions)

    def gone(before: int) -> set[str]:
        return {each.path.parent.name for each in found(before)}

    generation = {ARCHIVE, *MODELS}
    assert not gone(before=1) & generation
    assert gone(before=0) >= generation
    home.store.pin(ARCHIVE, home.policies[1])
    assert not gone(before=0) & generation
    assert "recommender" in gone(before=0)
    remove(found(before=0))
    home.use(home.policies[1])
    home.follow_without_writing(1)
    assert home.stored() == home.versions[1]
    home.store.unpin(ARCHIVE, home.policies[1])
    home.use(home.policies[2])
    # The reasons of the fast lane are still those of the first policy, and keep it.
    assert gone(before=0) & generation == {ARCHIVE, "evidence_model"}


def test_what_no_archive_holds_is_lost_only_when_that_is_said(home: Home) -> None:
    manifest = home.warehouse.existing_manifest("training_snapshot")
    newer = manifest.model_copy(update={"fingerprint": "f" * 16})
    home.warehouse.write("training_snapshot", home.warehouse.read("training_snapshot"), newer)
    with pytest.raises(ArtifactError, match=r"training_snapshot \(f{16}\).*--discard"):
        home.use(home.policies[1])
    assert home.stored() == home.versions[2]
    home.use(home.policies[1], discard=True)
    assert of_lane(home.stored(), SLOW) == of_lane(home.versions[1], SLOW)


def test_what_cannot_be_taken_up_changes_nothing(home: Home) -> None:
    with pytest.raises(ConfigError, match=f"no policy is kept as 'x'.*{home.policies[1]}"):
        home.use("x")
    with pytest.raises(ConfigError, match="no policy is kept as ''"):
        home.use("")
    job = build_definitions(profile="smoke", home=home.folder).resolve_job_def("retrain")
    run = home.instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED)
    with pytest.raises(ArtifactError, match=rf"run {run.run_id} \(retrain\) has not ended"):
        home.use(home.policies[1])
    home.instance.report_run_canceled(run)
    aligned = home.warehouse.existing_manifest("draft_reasons")
    archive = Path(home.store.root, ARCHIVE, home.policies[1])
    rows = archive / "event_splits" / "rows.parquet"
    rows.write_bytes(rows.read_bytes()[:-1])
    with pytest.raises(ArtifactError, match=r"event_splits/rows.parquet: found"):
        home.use(home.policies[1])
    assert home.stored() == home.versions[2]
    assert home.warehouse.existing_manifest("draft_reasons") == aligned
    assert unfinished_switch(Path(home.store.root)) is None


def test_a_mix_of_generations_is_not_archived(home: Home) -> None:
    first = {name: home.store.find(name, version) for name, version in of_policy(home, 1)}
    home.store.set_current("aligned_llm", first["aligned_llm"].manifest.fingerprint)
    definitions = build_definitions(
        profile="smoke", home=home.folder, resources={"settings": SETTINGS[2]}
    )
    with pytest.raises(dg.Failure, match=r"'draft_reasons'.*no whole generation"):
        definitions.resolve_job_def("everything").execute_in_process(
            instance=home.instance, asset_selection=[dg.AssetKey(ARCHIVE)]
        )


def of_policy(home: Home, seed: int) -> list[tuple[str, str]]:
    archive = home.store.find(ARCHIVE, home.policies[seed]).manifest
    return [(name, version[0]) for name, version in members(archive).items() if name in MODELS]


def test_at_the_terminal(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With Dagster records that are not those of the time when the policy was made."""

    def said(*arguments: str) -> str:
        assert main(arguments) == 0
        return capsys.readouterr().out

    dagster_home = tmp_path / "dagster"
    dagster_home.mkdir()
    shutil.copy(DAGSTER_YAML, dagster_home / "dagster.yaml")
    profile = tmp_path / "first.toml"
    profile.write_text('extends = "smoke"\nseed = 1\ndata.most_lost_share = 1.0\n')
    monkeypatch.setenv("CUREC_HOME", str(home.folder))
    first, second = home.policies[1], home.policies[2]
    lines = said("policies", "--pin", first[:6]).splitlines()
    assert lines[1].split()[0] == first and lines[1].endswith("pinned")
    assert lines[2].split()[0] == second and lines[2].endswith("current")
    assert "pinned" not in said("policies", "--unpin", first)
    assert main(["use-policy", first]) == 1
    assert "DAGSTER_HOME is not set" in capsys.readouterr().err
    monkeypatch.setenv("DAGSTER_HOME", str(dagster_home))
    told = said("use-policy", first[:6], "--profile", str(profile))
    assert f"Policy {first} is current" in told and "waits" not in told
    assert of_lane(home.stored(), SLOW) == of_lane(home.versions[1], SLOW)
    lines = said("policies").splitlines()
    assert lines[1].endswith("current") and not lines[2].endswith("current")
    told = said("use-policy", second, "--profile", str(profile))
    assert "waits for `retrain`: setting seed 2 → 1" in told
    with dg.DagsterInstance.get() as instance:
        other = Home(home.folder, instance, home.policies, home.versions)
        make(other, 2, [*INGEST, *FAST], generator_factory=_SilentFactory())
        assert other.stored() == home.versions[2]
        asked, told = other.asked_for(2)
        assert asked == [] and told.startswith("everything has followed")
