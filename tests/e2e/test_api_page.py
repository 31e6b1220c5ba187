"""The read API's page in a real browser: it shows what can be asked, and asks nobody else."""

from pathlib import Path
from typing import Any

import pytest

from benchmarks.chaos.home import Home
from tests.support.api_server import serving
from tests.support.dagster_dev import browser, hosts_asked, wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]


def test_the_page_shows_every_question_and_asks_nobody_else(
    filled_home: Home, tmp_path: Path
) -> None:
    with serving(filled_home) as server, browser(tmp_path) as window:
        hosts_asked(window)
        window.get(f"http://127.0.0.1:{server.port}/docs")

        def parts(selector: str) -> list[Any]:
            found: list[Any] = window.find_elements("css selector", selector)
            return found

        wait_for("the questions", lambda: len(parts(".opblock")) == 3, 30, server.log)
        paths = {each.text.replace("\u200b", "") for each in parts(".opblock-summary-path")}
        assert paths == {"/health", "/recommend/{user_id}", "/explain/{user_id}/{item_id}"}
        parts(".opblock-summary-control")[0].click()
        wait_for("its button", lambda: parts(".try-out__btn"), 10, server.log)
        parts(".try-out__btn")[0].click()
        wait_for("its button", lambda: parts(".execute"), 10, server.log)
        parts(".execute")[0].click()
        wait_for(
            "the answer",
            lambda: any('"status": "ok"' in each.text for each in parts(".highlight-code")),
            10,
            server.log,
        )
        severe = [each for each in window.get_log("browser") if each["level"] == "SEVERE"]
        assert severe == []
        assert hosts_asked(window) == {"127.0.0.1"}
