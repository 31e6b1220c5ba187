"""Two writers on the same events: who can be named, what is joined, measured and marked."""

import json
import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from curec_assets.cli.app import main
from curec_assets.explanation.grounding import GroundingChecker
from curec_assets.explanation.writing import ReasonRequest, composed
from curec_assets.serving.compared import Compared, marked
from curec_assets.serving.writers import Writers
from curec_assets.settings import load_profile
from resources.errors import ConfigError
from tests.support.written_home import DRAFTED, EVENTS, POLICY, WrittenHome

PROFILE = load_profile("smoke")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> WrittenHome:
    found = WrittenHome(tmp_path_factory.mktemp("home"))
    found.fill()
    found.keep_policy()
    found.write_rung("untuned", EVENTS[8:], level=6)
    return found


@pytest.fixture(scope="module")
def writers(home: WrittenHome) -> Writers:
    return Writers(home.warehouse, home.store, PROFILE)


def compared(home: WrittenHome, writers: Writers, a: str, b: str) -> Compared:
    return Compared.of(writers, home.warehouse, a, b)


def test_everybody_is_named_once(writers: Writers) -> None:
    names = writers.names()
    kept = {f"reasons@{POLICY}", f"drafts@{POLICY}"}
    assert set(names) == {"reasons", "drafts", "composer", "untuned", *kept}
    assert "24 events" in names["reasons"] and "8 events" in names["drafts"]
    assert f"policy {POLICY}" in names[f"reasons@{POLICY}"]
    assert "weights w" in names["untuned"] and "16 events" in names["untuned"]
    assert writers.named("reasons") == "reasons"
    assert writers.named("reasons@7a") == f"reasons@{POLICY}"


@pytest.mark.parametrize("text", ["", "x", "r@", "d"])
def test_a_name_of_nobody_or_of_several_is_refused(writers: Writers, text: str) -> None:
    with pytest.raises(ConfigError, match=f"is called '{text}'; found reasons, drafts, .*composer"):
        writers.named(text)


def test_events_of_both_are_joined_and_measured(home: WrittenHome, writers: Writers) -> None:
    found = compared(home, writers, "reasons", "drafts")
    assert found.rows["event_id"].to_list() == DRAFTED
    assert found.rows["title"].n_unique() == 3
    measures = found.measures(samples=50, seed=1)
    assert (measures.events, measures.users) == (8, 6)
    assert (measures.level_gap, measures.within_one, measures.equal) == (2.0, 0.0, 0.0)
    liked, levels = found.rows["liked"].to_numpy(), found.rows["level_a"].to_numpy()
    assert measures.auc[0].value == pytest.approx(roc_auc_score(liked, levels))
    assert measures.auc_difference.value == 0.0  # the second is two levels higher everywhere
    assert measures.auc_difference.low == measures.auc_difference.high == 0.0
    both = compared(home, writers, "drafts", "reasons").measures(samples=50, seed=1)
    assert both.auc == measures.auc[::-1]


def test_an_auc_of_one_outcome_is_undefined(home: WrittenHome, writers: Writers) -> None:
    found = compared(home, writers, "reasons", "composer")
    liked = Compared(found.a, found.b, found.rows.filter("liked"))
    measures = liked.measures(samples=10, seed=1)
    assert np.isnan(measures.auc[0].value) and np.isnan(measures.auc_difference.value)


def test_kept_policies_are_read_from_their_archive(home: WrittenHome, writers: Writers) -> None:
    found = compared(home, writers, f"reasons@{POLICY}", "reasons")
    assert found.rows["event_id"].to_list() == EVENTS[4:]
    assert found.measures(samples=10, seed=1).level_gap == 5.0
    assert compared(home, writers, f"drafts@{POLICY}", "drafts").rows.height == len(DRAFTED)
    then, now = (
        writers.facts(name, "e00", "i0").arguments for name in (f"drafts@{POLICY}", "drafts")
    )
    assert [fact.strength for fact in then] == [2, 2]
    assert [fact.strength for fact in now] == [3, 3]


def test_the_composer_goes_with_everybody_and_says_what_it_always_says(
    home: WrittenHome, writers: Writers
) -> None:
    assert compared(home, writers, f"reasons@{POLICY}", "composer").rows.height == 20
    rows = compared(home, writers, "composer", "drafts").rows
    assert rows["event_id"].to_list() == DRAFTED
    checker = GroundingChecker(PROFILE.explanation.max_words)
    for row in rows.head(3).iter_rows(named=True):
        facts = writers.facts("composer", row["event_id"], row["item_id"])
        request = ReasonRequest(row["event_id"], facts, row["level_a"])
        assert composed(request, checker, PROFILE.seed).reason == row["reason_a"]


def test_none_in_common_and_one_named_twice_are_said(home: WrittenHome, writers: Writers) -> None:
    with pytest.raises(ConfigError, match="'drafts' wrote about 8 events and 'untuned' about 16"):
        compared(home, writers, "drafts", "untuned")
    with pytest.raises(ConfigError, match="'drafts' is named twice"):
        compared(home, writers, "drafts", "drafts")


def test_samples_differ_and_do_not_depend_on_the_order_of_rows(
    home: WrittenHome, writers: Writers
) -> None:
    found = compared(home, writers, "reasons", "untuned")
    some = found.different(4, seed=1)
    turned = Compared(found.a, found.b, found.rows.reverse())
    assert turned.different(4, seed=1) == some
    assert found.different(None, seed=1)[:4] == some
    assert found.different(None, 1, "ballot")[:4] != some
    same = Compared("a", "b", found.rows.with_columns(reason_b=pl.col("reason_a")))
    silent = Compared("a", "b", found.rows.with_columns(reason_b=pl.lit("")))
    assert same.different(4, seed=1) == silent.different(4, seed=1) == []


texts = st.lists(st.sampled_from(["you", "like", "it", "it.", "a", "little"])).map(" ".join)


@given(texts, texts)
def test_marks_take_nothing_away_and_what_is_not_marked_is_the_same(one: str, other: str) -> None:
    both = marked(one, other)
    assert tuple(" ".join(words for words, _ in pieces) for pieces in both) == (one, other)
    first, second = ([words for words, differs in pieces if not differs] for pieces in both)
    assert first == second
    assert (one == other) == (not any(differs for pieces in both for _, differs in pieces))


@pytest.mark.usefixtures("umask")
def test_at_the_terminal(
    home: WrittenHome, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CUREC_HOME", str(home.folder))
    monkeypatch.setenv("CUREC_PROFILE", "smoke")

    def said(*arguments: str) -> str:
        assert main(["compare", *arguments]) == 0
        return capsys.readouterr().out

    assert [line.split()[0] for line in said().splitlines()][:2] == ["reasons", "drafts"]
    assert json.loads(said("--json"))["untuned"].startswith("the ladder's rung")
    text = said("reasons", "drafts", "--limit", "2")
    assert re.search(r"^mean distance of levels \(1 to 9\) +2\.00$", text, re.MULTILINE)
    assert text.count("reasons: level") == text.count("drafts: level") == 2
    assert re.search(r"\[[34]\]", text) and re.search(r"\[[56]\]", text)
    values = json.loads(said("reasons", "drafts", "--json"))
    assert values["events"] == 8 and len(values["samples"]) == 5
    assert "user_id" not in values["samples"][0]
    assert main(["compare", "reasons"]) == 1
    assert "only 'reasons' is named" in capsys.readouterr().err
    assert main(["compare", "reasons", "nobody"]) == 1
    assert "give one of these names" in capsys.readouterr().err


@pytest.mark.usefixtures("umask")
def test_a_home_without_reasons_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CUREC_HOME", str(tmp_path))
    assert main(["compare"]) == 0
    assert "Nobody wrote a reason in this home yet" in capsys.readouterr().out
    assert main(["compare", "a", "b"]) == 1
    assert "nothing is made yet" in capsys.readouterr().err
