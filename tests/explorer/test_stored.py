"""What the explorer reads of a home: the same as the tables say, and nothing is written."""

from typing import Any

import polars as pl
import pytest

from benchmarks.chaos.home import Home
from curec_assets.definitions import default_resources, recipes
from curec_assets.explorer.stored import Stored
from curec_assets.settings import load_profile
from tests.support.contents import contents

pytestmark = [pytest.mark.graph, pytest.mark.timeout(600)]


Resources = dict[str, Any]


@pytest.fixture
def resources(filled_home: Home) -> Resources:
    return default_resources("smoke", filled_home.path)


@pytest.fixture
def stored(resources: Resources) -> Stored:
    return Stored(resources, load_profile("smoke"), recipes())


@pytest.fixture
def table(resources: Resources) -> pl.DataFrame:
    rows: pl.DataFrame = resources["warehouse"].read("recommendations")
    return rows.sort("user_id", "rank")


def test_the_policy_writes_what_it_wrote_and_the_home_stays(
    stored: Stored, table: pl.DataFrame, filled_home: Home
) -> None:
    """The file of completions above all: it belongs to the process of a run."""
    before = contents(filled_home.path)
    [row] = table.filter(source="policy").head(1).to_dicts()
    user, item = row["user_id"], row["item_id"]
    met = stored.history(user)["item_id"].to_list()[:3]
    found, supposed = stored.explained(user, item, met, by_policy=True)
    assert (found.reason, found.level, found.source) == (row["reason"], row["level"], "policy")
    assert found.probability == pytest.approx(row["evidence_probability"], rel=1e-9)
    assert supposed.contributions != found.contributions
    [composed] = stored.explained(user, item)
    assert composed.source == "composer" and composed.contributions == found.contributions
    assert contents(filled_home.path) == before


def test_what_made_a_recommendation_goes_back_to_its_snapshot(
    stored: Stored, table: pl.DataFrame
) -> None:
    made = stored.made_by(table["user_id"][0])
    by_asset = {row["asset"]: row for row in made.to_dicts()}
    assert made["asset"].n_unique() == made.height
    assert set(by_asset) >= {
        *("recommendations", "recommender", "recommender_ranking"),
        *("training_snapshot", "evidence_model", "reward_model", "reason_policy"),
    }
    assert by_asset["reason_policy"]["fingerprint"] == table["policy_fingerprint"][0]
    known = {row["asset"]: row for row in stored.lineage.to_dicts()}
    assert all(row == known[asset] for asset, row in by_asset.items())
    assert all(row["code"] for row in made.to_dicts())


def test_who_met_an_item_is_everybody_with_an_event_the_latest_first(
    stored: Stored, table: pl.DataFrame
) -> None:
    item = table["item_id"][0]
    events = stored.now.interactions.filter(item_id=item)
    people = stored.people_of(item)
    assert sorted(people["user"]) == sorted(events["user_id"])
    assert people["when"].is_sorted(descending=True)
    assert dict(people.group_by("outcome").len().iter_rows()) == {
        "liked" if liked else "not liked": count
        for liked, count in events.group_by("liked").len().iter_rows()
    }


def test_measures_are_those_of_the_report_and_samples_go_from_worst_to_best(
    stored: Stored, resources: Resources
) -> None:
    reported = resources["model_store"].current("quality_report").manifest.metrics["quality"]
    measured = dict(stored.measures.select("measure", "value").iter_rows())
    assert "faithful" in measured
    for name, value in reported.items():
        assert value is None or measured[name] == pytest.approx(value)
    assert (stored.measures["low"] <= stored.measures["value"]).all()
    assert stored.samples["reward"].is_sorted()
    assert stored.samples["percentile"].unique().sort().to_list() == [5, 50, 95]


def test_other_test_events_have_figures_of_their_own(stored: Stored, resources: Resources) -> None:
    rows = resources["warehouse"].read("recommender_evaluation").filter(slice="with_reason")
    found = stored.evaluation("with_reason")
    assert found.height and found.join(rows, on=["recommender", "metric", "value"]).height
    assert not found.equals(stored.evaluation())
