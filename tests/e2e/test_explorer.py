"""The explorer in a real browser: every page opens, answers to a choice, and asks nobody else."""

import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
from selenium.common.exceptions import (
    ElementClickInterceptedException,
    StaleElementReferenceException,
)
from selenium.webdriver.common.keys import Keys

from benchmarks.chaos.home import Home
from curec_assets.definitions import default_resources
from curec_assets.serving.votes import stored_votes
from tests.support.dagster_dev import browser, free_port, hosts_asked, wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

_EVERYWHERE = """
const found = [];
(function look(root) {
  for (const each of root.querySelectorAll("*")) {
    if (each.matches(arguments[1])) found.push(each);
    if (each.shadowRoot) look(each.shadowRoot, arguments[1]);
  }
})(document, arguments[0]);
return found;
"""
HOSTILE = "<img src=x onerror=\"document.title='taken'\"> & <b>Heat</b>"
_SECONDS_TO_OPEN = 2.0


class Page:
    """The explorer in a browser."""

    def __init__(self, window: Any, log: Path) -> None:
        self.window = window
        self.log = log

    @property
    def text(self) -> str:
        found: str = self.window.find_element("tag name", "body").text
        return found

    def shows(self, *parts: str, within: float = 60) -> float:
        """Waits until all parts are shown; the seconds that it took."""
        began = time.monotonic()
        while missing := [part for part in parts if part not in self.text]:
            if time.monotonic() - began > within:
                pytest.fail(f"not shown within {within} s: {missing}\n{self.text[:3000]}")
            time.sleep(0.05)
        return time.monotonic() - began

    def all(self, selector: str) -> list[Any]:
        """Elements that match, those inside marimo's own elements too."""
        found: list[Any] = self.window.execute_script(_EVERYWHERE, selector)
        return found

    def named(self, selector: str, text: str) -> Any:
        """The one that says this."""
        wait_for(
            f"{selector} {text!r}",
            lambda: any(each.text.strip() == text for each in self.all(selector)),
            30,
            self.log,
        )
        return next(each for each in self.all(selector) if each.text.strip() == text)

    def click(self, selector: str, text: str) -> None:
        self._click(lambda: self.named(selector, text))

    def _click(self, find: Callable[[], Any]) -> None:
        """As soon as nothing lies over it: lists close, and pictures move what is below them."""

        def clicked() -> bool:
            try:
                found = find()
                self.window.execute_script("arguments[0].scrollIntoView({block: 'center'})", found)
                found.click()
            except (ElementClickInterceptedException, StaleElementReferenceException):
                return False
            return True

        wait_for("a click", clicked, 30, self.log)

    def open_tab(self, name: str) -> None:
        self.click("[role=tab]", name)

    def choose(self, label: str, option: str) -> None:
        """In the list beside a label."""
        beside = "return arguments[0].getRootNode().querySelector('[aria-haspopup]')"
        self._click(lambda: self.window.execute_script(beside, self.named("label", label)))
        self.window.switch_to.active_element.send_keys(option)
        self.named("[role=option]", option).click()
        self.window.switch_to.active_element.send_keys(Keys.ESCAPE)


@pytest.fixture
def home(filled_home: Home) -> Home:
    """With a hostile title among what is recommended, and in a reason."""
    with duckdb.connect(filled_home.path / "warehouse.duckdb") as warehouse:
        for table, column in (("items", "title"), ("recommendations", "title")):
            warehouse.execute(
                f"UPDATE {table} SET {column} = ? WHERE item_id = "
                "(SELECT item_id FROM recommendations ORDER BY rowid LIMIT 1)",
                [HOSTILE],
            )
        warehouse.execute("UPDATE recommendation_reasons SET reason = reason || ?", [HOSTILE])
    return filled_home


@pytest.fixture
def page(home: Home, tmp_path: Path) -> Iterator[Page]:
    port, log = free_port(), tmp_path / "explore.log"
    command = [sys.executable, "-m", "curec_assets.cli", "explore", "--port", str(port)]
    with (
        log.open("wb") as stream,
        subprocess.Popen(command, env=home.environment, stdout=stream, stderr=stream) as process,
    ):
        try:
            wait_for("the explorer", lambda: b"running on" in log.read_bytes(), 60, log)
            with browser(tmp_path) as window:
                hosts_asked(window)
                window.get(f"http://127.0.0.1:{port}")
                yield Page(window, log)
        finally:
            process.terminate()


def votes_are_blind_and_stored(page: Page, home: Home) -> None:
    """Without a word on whose the reasons are; and the page stays where it is."""
    page.all("[role=switch]")[0].click()
    page.shows("which reason is better?", "Votes stored: 0.")
    found = re.search(r"Pairs left: (\d+)", page.text)
    assert found
    left = int(found[1])
    assert "reasons: level" not in page.text and "composer: level" not in page.text
    page.named("button", "The second is better").click()
    page.shows("Votes stored: 1.", f"Pairs left: {left - 1}.")
    page.named("button", "Skip").click()
    page.shows("Votes stored: 1.", f"Pairs left: {left - 2}.")
    page.named("button", "They are equal").click()
    page.shows("Votes stored: 2.", f"Pairs left: {left - 3}.", "which reason is better?")
    stored = stored_votes(home.path)
    assert [each.won for each in stored][1] == "equal" and stored[0].won in ("a", "b")
    file = home.path / "votes.jsonl"
    file.rename(home.path / "kept.jsonl")
    file.mkdir()  # nothing can be appended to it
    page.named("button", "The first is better").click()
    page.shows("the vote is not stored", "Votes stored: 2.")


def every_event_is_on_the_time_line(page: Page, titles: list[str]) -> None:
    """From left to right as time goes, each with its title."""
    points = page.all("svg[aria-label^='What was met'] circle")
    points = [each for each in points if each.is_displayed()]  # tabs keep a hidden copy
    said = [each.get_property("textContent") for each in points]
    assert all(text.startswith(f"{title}, ") for text, title in zip(said, titles, strict=True))
    places = [each.rect["x"] for each in points]
    assert places == sorted(places) and places[0] < places[-1]


def somebody_else_is_shown(page: Page, user: str) -> None:
    """After some tries at most: anybody may be the same."""
    for _ in range(20):
        page.click("button", "Anybody")
        time.sleep(0.5)
        if page.all("label") and not any(each.text.strip() == user for each in page.all("button")):
            return
    pytest.fail(f"always {user}")


def test_every_page_opens_and_answers_and_asks_nobody_else(page: Page, home: Home) -> None:
    table = default_resources("smoke", home.path)["warehouse"].read("recommendations")
    rows = table.sort("rank")
    _first, other = table["user_id"].unique(maintain_order=True).to_list()[:2]
    page.shows("People", "Items", "Quality", "Lineage", "Recommended")
    page.shows(HOSTILE, "Choose an item to see")
    began = time.monotonic()
    page.choose("User", other)
    shown = rows.filter(user_id=other)
    page.shows(*shown["title"], shown["reason"][0])
    assert HOSTILE not in page.text
    assert time.monotonic() - began < 10

    warehouse = default_resources("smoke", home.path)["warehouse"]
    titles = dict(warehouse.read("items", ["item_id", "title"]).iter_rows())
    history = warehouse.read("interactions").filter(user_id=other).sort("timestamp", "event_id")
    every_event_is_on_the_time_line(page, [titles[item] for item in history["item_id"]])

    page.choose("Why", shown["title"][0])
    page.shows("now:", "level", "what speaks for and against it")
    assert "if left out" not in page.text
    title = titles[history["item_id"][0]]
    page.choose("What if these had not been met", title)
    page.shows("if left out:", "as the composer says it")
    assert "as the policy says it" not in page.text
    page.click("button", "Let the policy write it")
    page.shows("as the policy says it", "if left out:")
    page.click("button", "What made them")
    page.shows("training_snapshot", "reward_model", "fingerprint")
    somebody_else_is_shown(page, other)

    for tab, parts in {
        "Items": ("Reasons about it:", "Who met it:"),
        "Quality": (
            *("95 % intervals", "percentile of reward", "mean reward of each step"),
            "cells in quarantine",
        ),
        "Compare": ("texts that are the same", "reasons: level", "composer: level"),
        "Lineage": ("reason_policy", "made from"),
    }.items():
        page.open_tab(tab)
        assert page.shows(*parts) <= _SECONDS_TO_OPEN, tab
    links = [each.get_attribute("href") for each in page.all("a[href*='/assets/']")]
    assert "http://127.0.0.1:3000/assets/reason_policy" in links
    page.open_tab("Quality")
    page.click("button", "The same on test events that have a reason")
    for heading in page.all("h3"):  # what is further below comes when it is looked at
        page.window.execute_script("arguments[0].scrollIntoView({block: 'center'})", heading)
        time.sleep(0.2)
    page.shows("faithful", "No event is newer than the snapshot", "outcome")
    again = "Differences on the same resampled users"
    wait_for("its figures", lambda: page.text.count(again) == 2, 30, page.log)
    page.open_tab("Compare")
    page.shows("reasons: level", HOSTILE)
    marks = [each.text for each in page.all("mark")]
    assert any(HOSTILE in mark for mark in marks)
    votes_are_blind_and_stored(page, home)

    assert page.window.title == "CURec explorer"
    severe = [each for each in page.window.get_log("browser") if each["level"] == "SEVERE"]
    assert severe == []
    assert hosts_asked(page.window) <= {"127.0.0.1"}
