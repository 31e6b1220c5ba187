"""What is asked now is what the tables say, and what is said of it can be added up."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import pytest

from benchmarks.chaos.home import Home
from curec_assets.cli.app import main
from curec_assets.definitions import default_resources
from curec_assets.serving.now import Now
from curec_assets.settings import load_profile
from resources.errors import ConfigError
from tests.support.contents import contents

pytestmark = [pytest.mark.graph, pytest.mark.timeout(600)]

Said = Callable[..., str]


@pytest.fixture
def now(filled_home: Home) -> Now:
    resources = default_resources("smoke", filled_home.path)
    return Now(resources["warehouse"], resources["model_store"], load_profile("smoke"))


@pytest.fixture
def table(filled_home: Home) -> pl.DataFrame:
    rows: pl.DataFrame = default_resources("smoke", filled_home.path)["warehouse"].read(
        "recommendations"
    )
    return rows.sort("user_id", "rank")


@pytest.fixture
def said(
    filled_home: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Said:
    monkeypatch.setenv("CUREC_HOME", str(filled_home.path))
    monkeypatch.setenv("CUREC_PROFILE", "smoke")

    def ask(*arguments: str) -> str:
        assert main(arguments) == 0
        return capsys.readouterr().out

    return ask


def test_what_is_computed_now_is_what_the_table_says(now: Now, table: pl.DataFrame) -> None:
    for (user,), rows in table.group_by("user_id"):
        found = now.recommended(str(user), rows.height)
        same = ["rank", "item_id", "title"]
        assert found.select(same).equals(rows.select(same))
        np.testing.assert_allclose(found["score"], rows["score"], rtol=1e-6)
        assert now.stored(str(user))["reason"].to_list() == rows["reason"].to_list()


def test_an_explanation_adds_up_to_what_the_table_says(now: Now, table: pl.DataFrame) -> None:
    bases = []
    for row in table.iter_rows(named=True):
        found = now.explained(row["user_id"], row["item_id"])
        assert found.probability == pytest.approx(row["evidence_probability"], rel=1e-9)
        bases.append(np.log(found.probability / (1 - found.probability)))
        bases[-1] -= sum(found.contributions.values())
        for fact in found.facts.arguments:
            if fact.strength:
                assert fact.contribution == pytest.approx(found.contributions[fact.kind])
        assert found.reason and found.source == "composer"
    assert np.ptp(bases) < 1e-6


def test_what_if_leaves_the_home_as_it_was(now: Now, table: pl.DataFrame) -> None:
    user, item = table["user_id"][0], table["item_id"][0]
    history = now.interactions.filter(user_id=user)
    liked = history.filter("liked")["item_id"].to_list()
    before = now.explained(user, item)
    supposed = now.without(user, liked)
    assert supposed.interactions.height == now.interactions.height - len(liked)
    after = supposed.explained(user, item)
    assert after.contributions != before.contributions
    assert {fact.liked for fact in after.facts.arguments if fact.kind == "related"} <= {False}
    assert now.explained(user, item) == before


def test_strangers_and_unknown_items_are_refused_by_name(now: Now) -> None:
    with pytest.raises(ConfigError, match=r"user 'nobody' has no event.*of its \d+ users"):
        now.recommended("nobody", 3)
    title = now.items["title"].sort()[0]
    assert now.item_named(title.upper()) == now.items.filter(title=title)["item_id"].item()
    with pytest.raises(ConfigError, match=f"no item has .*'{title[:-1]}'; titles with it.*{title}"):
        now.item_named(title[:-1])
    with pytest.raises(ConfigError, match="expected one of `items`"):
        now.item_named("no such thing")


def test_a_policy_that_writes_beside_a_run_leaves_its_files_alone(
    said: Said, table: pl.DataFrame, filled_home: Home
) -> None:
    """The file of completions is for one process: what another one adds, a run would misread."""
    before = contents(filled_home.path)
    user = table["user_id"][0]
    more = table.filter(user_id=user).height + 2
    rows = json.loads(said("recommend", user, "--write", "--json", "--top", str(more)))
    assert {row["source"] for row in rows} >= {"policy"}
    assert contents(filled_home.path) == before


def test_at_the_terminal(said: Said, table: pl.DataFrame) -> None:
    user = table["user_id"][0]
    rows = table.filter(user_id=user)

    def as_json(*arguments: str) -> Any:
        return json.loads(said("recommend", user, "--json", *arguments))

    stored = as_json()
    assert [row["reason"] for row in stored] == rows["reason"].to_list()
    written = as_json("--write", "--top", str(rows.height))
    assert [row["reason"] for row in written] == rows["reason"].to_list()
    assert len(as_json("--top", str(rows.height + 2))) == rows.height + 2
    first = stored[0]
    assert first["title"] in said("recommend", user)
    text = said("explain", user, first["title"])
    for part in (f'"{first["title"]}"', f"Shown: {first['reason'][:40]}", "log-odds"):
        assert part in text
    explained = json.loads(said("explain", user, first["item_id"], "--json"))
    assert explained["reason"] == first["reason"]
    assert set(explained["contributions"]) >= {"crowd", "habit"}
