"""Profiles, TOML files and overrides: the valid is used, the rest refused and explained."""

import dagster as dg
import pytest

from curec_assets.settings import PROFILE_NAMES, PROFILES, Profile, Settings, load_profile
from resources.errors import ConfigError


@pytest.mark.parametrize("name", PROFILE_NAMES)
def test_every_profile_round_trips(name):
    profile = load_profile(name)
    assert profile.name == name
    assert profile == PROFILES[name] == Profile.model_validate(profile.model_dump(mode="json"))


def test_every_field_is_described():
    undescribed = [
        f"{section}.{name}"
        for section, field in Profile.model_fields.items()
        if hasattr(field.annotation, "model_fields")
        for name, inner in field.annotation.model_fields.items()
        if not inner.description
    ]
    assert undescribed == []


@pytest.mark.parametrize(
    ("choice", "overrides", "said"),
    [
        ("lapto", {}, ["'lapto'", "smoke, laptop, benchmark, gpu", ".toml"]),
        ("", {}, ["smoke, laptop, benchmark, gpu"]),
        ("smoke", {"polcy": {}}, ["polcy is not a setting", "policy", "reward"]),
        ("smoke", {"policy": {"stepz": 3}}, ["policy.stepz is not a setting", "generations"]),
        ("smoke", {"policy": {"steps": "many"}}, ["policy.steps", "'many'", "integer"]),
        ("smoke", {"policy": {"generations": 1}}, ["policy.generations", "found 1"]),
        ("smoke", {"data": {"source": "netflix"}}, ["data.source", "'netflix'", "movielens-100k"]),
        ("smoke", {"data": {"item_text": "{title} by {brand}"}}, ["data: item_text", "'brand'"]),
        ("smoke", {"data": {"item_text": "title"}}, ["names no column", "{title}, {year}"]),
        ("smoke", {"tracking": {"report_to": "comet"}}, ["report_to.0", "'comet'", "'mlflow'"]),
        ("smoke", {"tracking": {"report_to": ["none", "mlflow"]}}, ["report_to.0", "'none'"]),
        ("smoke", {"split": {"train_fraction": 0.95}}, ["split: train_fraction 0.95", "below 1"]),
        (
            "smoke",
            {"data": {"source": "files"}},
            ["data.interactions_path", "name the file"],
        ),
    ],
)
def test_what_is_not_valid_is_refused_with_what_is(choice, overrides, said):
    with pytest.raises(ConfigError) as caught:
        load_profile(choice, overrides)
    for part in said:
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("chosen", "tools"),
    [
        ("none", ()),
        (["none"], ()),
        ([], ()),
        ("mlflow", ("mlflow",)),
        (["wandb", "mlflow", "wandb"], ("wandb", "mlflow")),
    ],
)
def test_one_tracker_or_several_or_none(chosen, tools):
    profile = load_profile("smoke", {"tracking": {"report_to": chosen}})
    assert profile.tracking.report_to == tools


def test_every_problem_is_named_at_once():
    with pytest.raises(ConfigError) as caught:
        load_profile("smoke", {"policy": {"steps": 0}, "reward": {"dim": 0}})
    assert "policy.steps" in str(caught.value)
    assert "reward.dim" in str(caught.value)


def test_a_toml_file_extends_a_profile(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text(
        'extends = "laptop"\nseed = 7\n[data]\nsource = "files"\n'
        'interactions_path = "events.csv"\nitems_path = "/somewhere/items.csv"\n'
        "[policy]\nsteps = 9\n"
    )
    profile = load_profile(str(file))
    assert (profile.name, profile.seed, profile.policy.steps) == ("laptop", 7, 9)
    assert profile.data.interactions_path == str(tmp_path / "events.csv")  # beside the TOML file
    assert profile.data.items_path == "/somewhere/items.csv"
    assert profile.recommender == PROFILES["laptop"].recommender


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("seed = 1\n", "extends = None is not a profile"),
        ('extends = ["laptop"]\n', "is not a profile"),
        ("seed =\n", "is not valid TOML"),
        ('extends = "laptop"\ndata = 3\n', "data: found 3"),
        ('extends = "laptop"\n[policy]\nstepz = 1\n', "policy.stepz is not a setting"),
    ],
)
def test_a_wrong_toml_file_is_refused_by_name(tmp_path, text, said):
    file = tmp_path / "mine.toml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=r"mine\.toml") as caught:
        load_profile(str(file))
    assert said in str(caught.value)


def test_a_missing_toml_file_is_named():
    with pytest.raises(ConfigError, match=r"'nowhere\.toml' does not exist"):
        load_profile("nowhere.toml")


def test_an_edited_toml_file_is_read_again(tmp_path):
    file = tmp_path / "mine.toml"
    settings = Settings(profile=str(file))
    for seed in (1, 2):
        file.write_text(f'extends = "smoke"\nseed = {seed}\n')
        assert settings.resolve().seed == seed


@dg.asset
def shown(settings: Settings) -> dg.MaterializeResult[None]:
    """What the run really used."""
    profile = settings.resolve()
    return dg.MaterializeResult(
        metadata={
            "profile": profile.name,
            "steps": profile.policy.steps,
            "columns": ",".join(profile.data.attribute_columns),
            "trackers": ",".join(profile.tracking.report_to),
        }
    )


def run_with(instance, config):
    result = dg.materialize(
        [shown],
        instance=instance,
        resources={"settings": Settings(profile="smoke")},
        run_config={"resources": {"settings": {"config": config}}},
        raise_on_error=False,
    )
    return result


def test_a_run_overrides_profile_and_fields(instance):
    config = {
        "profile": "laptop",
        "policy": {"steps": 9},
        "data": {"attribute_columns": ["genre", "brand"]},
        "tracking": {"report_to": ["mlflow"]},
    }
    result = run_with(instance, config)
    metadata = result.asset_materializations_for_node("shown")[0].metadata
    assert {name: entry.value for name, entry in metadata.items()} == {
        "profile": "laptop",
        "steps": 9,
        "columns": "genre,brand",
        "trackers": "mlflow",
    }


def test_a_run_with_an_unknown_field_does_not_start(instance):
    with pytest.raises(dg.DagsterInvalidConfigError, match="stepz"):
        run_with(instance, {"profile": "smoke", "policy": {"stepz": 9}})


def test_a_run_with_an_unknown_profile_fails_with_the_list(instance):
    failure = run_with(instance, {"profile": "lapto"}).failure_data_for_node("shown")
    assert "smoke, laptop, benchmark, gpu" in failure.error.cause.message
