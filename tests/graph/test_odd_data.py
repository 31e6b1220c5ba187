"""Data that cannot carry the method: each runs, or says clearly why it cannot."""

import os
import re
import subprocess
import sys
from pathlib import Path

import dagster as dg
import duckdb
import polars as pl
import pytest

from curec_assets.datasets.sources.toy import ToySource
from curec_assets.definitions import build_definitions
from tests.support.reading import all_rows

pytestmark = [pytest.mark.graph, pytest.mark.timeout(600)]

_PROFILE = """
extends = "smoke"

[data]
source = "files"
interactions_path = "interactions.csv"
feedback = "{feedback}"
items_path = "items.csv"
attribute_columns = {attributes}
review_columns = {reviews}
confirmed_columns = ["director", "actor"]
"""
_CONTACT = "somebody@example.org"
_PAGES = """
from curec_assets.explorer import pages
from curec_assets.explorer.opened import opened
from curec_assets.explorer.time_line import time_line
stored = opened()
user = stored.users[0]
print(time_line(stored.history(user), rated=stored.rated).text)
print(pages.item(stored, stored.recommended(user)["item_id"][0]).text)
"""


def events() -> pl.DataFrame:
    rows = all_rows(ToySource(3))
    return rows.select("user_id", "item_id", "rating", "timestamp")


def items() -> pl.DataFrame:
    """A column for each kind of attribute, and one that no setting names."""
    value = pl.element().struct.field("value")
    kinds = ("genre", "director", "actor")
    return (
        ToySource(3)
        .items()
        .select(
            "item_id",
            "title",
            *(
                pl.col("attributes")
                .list.eval(value.filter(pl.element().struct.field("kind") == kind))
                .list.join(",")
                .alias(kind)
                for kind in kinds
            ),
            contact=pl.lit(_CONTACT),
        )
    )


def everything(
    folder: Path, interactions: pl.DataFrame, catalogue: pl.DataFrame, feedback: str = "explicit"
) -> dg.ExecuteInProcessResult:
    interactions.write_csv(folder / "interactions.csv")
    catalogue.write_csv(folder / "items.csv")
    named = [name for name in catalogue.columns if name in ("genre", "director", "actor")]
    reviews = [name for name in interactions.columns if name == "review"]
    profile = _PROFILE.format(attributes=named, feedback=feedback, reviews=reviews)
    (folder / "odd.toml").write_text(profile, encoding="utf-8")
    definitions = build_definitions(profile=str(folder / "odd.toml"), home=folder / "home")
    with dg.DagsterInstance.ephemeral() as instance:
        return definitions.resolve_job_def("everything").execute_in_process(
            instance=instance, raise_on_error=False
        )


def lonely_items() -> pl.DataFrame:
    return events().with_columns(item_id=pl.format("{}-{}", "user_id", "item_id"))


def titles_of(interactions: pl.DataFrame) -> pl.DataFrame:
    ids = interactions.select("item_id").unique().sort("item_id")
    return ids.with_columns(title=pl.format("Film {}", "item_id"))


def thirty_users() -> pl.DataFrame:
    return events().filter(
        pl.col("user_id").is_in(events()["user_id"].unique().sort()[:30].implode())
    )


def reviewed(interactions: pl.DataFrame) -> pl.DataFrame:
    """What is liked is praised for its story, and what is not has too many ads; and each is praised
    for five things of its own.
    """
    good = pl.col("rating").mean().over("item_id") >= 3.5
    text = pl.when(good).then(pl.lit("Great story.")).otherwise(pl.lit("Too many ads."))
    letters = "abcdefghij"
    own = [
        " ".join(
            f"Nice z{''.join(letters[int(each)] for each in f'{5 * n + k:05}')}." for k in range(5)
        )
        for n in range(interactions.height)
    ]
    rest = pl.Series(own) + f" Write to {_CONTACT}."
    return interactions.with_columns(review=text + pl.lit(" ") + rest)


RUNS = {
    "thirty users, no attributes, reviews": lambda: (
        reviewed(thirty_users()),
        items().select("item_id", "title"),
    ),
    "one rating value": lambda: (events().with_columns(rating=pl.lit(5.0)), items()),
    "items that nobody else rated": lambda: (lonely_items(), titles_of(lonely_items())),
}
REFUSED = {
    "no ratings": (lambda: (events().drop("rating"), items()), "without ratings nothing tells"),
    "one user": (
        lambda: (events().filter(pl.col("user_id") == events()["user_id"].mode()[0]), items()),
        "found 1 users with training events",
    ),
}


@pytest.mark.parametrize("case", RUNS)
def test_odd_data_runs_and_its_reasons_invent_nothing(case: str, tmp_path: Path) -> None:
    result = everything(tmp_path, *RUNS[case]())
    assert result.success, errors(result)
    with duckdb.connect(tmp_path / "home" / "warehouse.duckdb", read_only=True) as warehouse:
        reasons = warehouse.sql(
            "select reason, grounded from recommendation_reasons "
            "union all select reason, grounded from recommendations"
        ).pl()
        tables = [name for (name,) in warehouse.sql("show tables").fetchall()]
        query = 'select 1 from "{}" t where contains(t::varchar, $address)'
        holding = [
            name
            for name in tables
            if warehouse.execute(query.format(name), {"address": _CONTACT}).fetchall()
        ]
    assert holding == [], "an address that no setting names was kept"
    assert not any(_CONTACT in str(event) for event in result.all_events)
    assert reasons.height > 0
    assert reasons["grounded"].all()
    assert reasons["reason"].str.len_chars().min() > 0
    said = " ".join(reasons["reason"])
    assert ("reviews" in said) == ("reviews" in case)
    if "reviews" in case:
        assert "the story" in said and "the ads" in said


def test_where_nobody_rated_anything_no_reason_says_that_somebody_did(tmp_path: Path) -> None:
    likes = events().filter(pl.col("rating") >= 4).drop("rating")
    result = everything(tmp_path, likes, items(), feedback="implicit")
    assert result.success, errors(result)
    failed = [e.check_name for e in result.get_asset_check_evaluations() if not e.passed]
    with duckdb.connect(tmp_path / "home" / "warehouse.duckdb", read_only=True) as warehouse:
        reasons = warehouse.sql(
            "select reason, grounded, facts from recommendation_reasons "
            "union all select reason, grounded, facts from recommendations"
        ).pl()
        drawn = warehouse.sql(
            "select count(*) from recommendation_reasons r join interactions i using (event_id) "
            "where i.rating is null"
        ).fetchall()[0][0]
        corpus = warehouse.sql("select completion from alignment_corpus").pl()
        notes = warehouse.sql("select note from recommendation_reasons").pl()
    said = " ".join([*reasons["reason"], *notes["note"], *corpus["completion"]]).lower()
    for word in (
        "rated",
        "disliked",
        "verdict",
        "generous",
        "strict",
        "hard to please",
        "received",
    ):
        assert word not in said, word
    assert "chose" in said
    assert reasons["grounded"].all()
    facts = reasons.explode("facts").unnest("facts")
    assert facts["count"].null_count() == facts["of"].null_count() == facts.height
    assert drawn > 0
    assert "recommendations_new_and_ranked" not in failed
    drawn_on_pages = subprocess.run(
        [sys.executable, "-c", _PAGES],
        env={
            **os.environ,
            "CUREC_HOME": str(tmp_path / "home"),
            "CUREC_PROFILE": str(tmp_path / "odd.toml"),
        },
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "<circle" in drawn_on_pages
    assert not {"rating", "liked"} & set(re.findall(r"\w+", drawn_on_pages)), (
        "the explorer draws what nobody said"
    )


@pytest.mark.parametrize("case", REFUSED)
def test_data_that_cannot_carry_the_method_is_refused_in_words(case: str, tmp_path: Path) -> None:
    make, said = REFUSED[case]
    result = everything(tmp_path, *make())
    assert not result.success
    assert any(said in error for error in errors(result)), errors(result)


def errors(result: dg.ExecuteInProcessResult) -> list[str]:
    return [
        str(event.step_failure_data.error) for event in result.all_events if event.is_step_failure
    ]
