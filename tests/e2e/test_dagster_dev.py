"""What a user does: `dagster dev`, launch `everything` in the UI, look at the lineage page."""

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import polars as pl
import psutil
import pytest

from curec_assets.datasets.sources.toy import ToySource
from tests.support.reading import all_rows

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

REPOSITORY = Path(__file__).parents[2]
# Without a screen, as root, and without the services that Chromium calls at home.
BROWSER_FLAGS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1600,1000",
]
LAUNCH = """
mutation LaunchRun($executionParams: ExecutionParams!) {
  launchPipelineExecution(executionParams: $executionParams) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on PythonError { message }
    ... on RunConfigValidationInvalid { errors { message } }
  }
}
"""
STATUS = "query Run($id: ID!) { runOrError(runId: $id) { ... on Run { status } } }"
LOCATIONS = """
{ workspaceOrError { ... on Workspace {
    locationEntries { name locationOrLoadError { __typename } } } } }
"""
RUNS = "{ runsOrError { ... on Runs { results { runId } } } }"
TICKS = """
query Ticks($selector: SensorSelector!) {
  sensorOrError(sensorSelector: $selector) {
    ... on Sensor { sensorState { status ticks(limit: 50) { status timestamp } } }
  }
}
"""


@dataclass(frozen=True)
class Dev:
    """A running `dagster dev`."""

    url: str
    log: Path

    def graphql(self, query: str, **variables: Any) -> Any:
        request = urllib.request.Request(
            f"{self.url}/graphql",
            data=json.dumps({"query": query, "variables": variables}).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as response:
            answer = json.load(response)
        assert "errors" not in answer, answer["errors"]
        return answer["data"]

    def is_up(self) -> bool:
        try:
            entries = self.graphql(LOCATIONS)["workspaceOrError"]["locationEntries"]
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False
        loaded = [entry["locationOrLoadError"] for entry in entries]
        return bool(loaded) and all(
            location and location["__typename"] == "RepositoryLocation" for location in loaded
        )


def wait_for(what: str, ready: Callable[[], bool], seconds: float, log: Path) -> None:
    deadline = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > deadline:
            tail = log.read_text(encoding="utf-8", errors="replace")[-4000:]
            pytest.fail(f"{what}: not within {seconds:.0f} s\n{tail}")
        time.sleep(1)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def end_all(process: subprocess.Popen[bytes]) -> None:
    """End `dagster dev` and everything that it started, for certain."""
    try:
        family = [psutil.Process(process.pid)]
        family += family[0].children(recursive=True)
    except psutil.NoSuchProcess:
        family = []
    for member in family:
        if member.is_running():
            member.terminate()
    _, alive = psutil.wait_procs(family, timeout=20)
    for member in alive:
        member.kill()
    psutil.wait_procs(alive, timeout=10)
    process.wait(timeout=10)


@contextmanager
def browser(folder: Path) -> Iterator[Any]:
    """A headless Chromium with an empty profile, quit at the end of the block."""
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not chromium or not driver:
        message = "NO BROWSER: install chromium and chromedriver; the page was NOT looked at"
        print(message, file=sys.stderr)
        pytest.skip(message)
    from selenium.webdriver import Chrome, ChromeOptions
    from selenium.webdriver.chrome.service import Service

    options = ChromeOptions()
    options.binary_location = chromium
    options.add_argument(f"--user-data-dir={folder / 'chromium'}")
    for flag in BROWSER_FLAGS:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    window = Chrome(options=options, service=Service(driver))
    try:
        yield window
    finally:
        window.quit()


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dev]:
    environment = environment_of(tmp_path_factory.mktemp("e2e"), "smoke")
    with serving("dagster dev", environment) as server:
        yield server


def environment_of(home: Path, profile: str) -> dict[str, str]:
    """Of every process of a new home."""
    dagster_home = home / "dagster"
    dagster_home.mkdir()
    shutil.copy(REPOSITORY / "deploy" / "dagster.yaml", dagster_home)
    names = {"DAGSTER_HOME": str(dagster_home), "CUREC_HOME": str(home), "CUREC_PROFILE": profile}
    return {**os.environ, **names}


@contextmanager
def serving(module: str, environment: dict[str, str]) -> Iterator[Dev]:
    """What serves the UI, as a process of its own: `dagster dev`, or `dagster_webserver` alone."""
    port, log = free_port(), Path(environment["CUREC_HOME"], "server.log")
    command = f"{module} --workspace workspace.yaml --host 127.0.0.1 --port {port}"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", *command.split()],
            cwd=REPOSITORY,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            server = Dev(f"http://127.0.0.1:{port}", log)
            wait_for(module, server.is_up, 120, log)
            yield server
        finally:
            end_all(process)


@pytest.fixture(scope="module")
def finished_run(dev: Dev) -> str:
    """The run id of `everything`, launched as the launchpad launches it, ended by success."""
    answer = dev.graphql(
        LAUNCH,
        executionParams={
            "selector": {
                "repositoryLocationName": "curec",
                "repositoryName": "__repository__",
                "pipelineName": "everything",
            },
            "mode": "default",
            "runConfigData": {},
            "executionMetadata": {"tags": []},
        },
    )["launchPipelineExecution"]
    assert answer["__typename"] == "LaunchRunSuccess", answer
    run: str = answer["run"]["runId"]

    def ended() -> bool:
        return status(dev, run) in ("SUCCESS", "FAILURE", "CANCELED")

    wait_for("the run", ended, 600, dev.log)
    return run


def status(dev: Dev, run: str) -> str:
    found: str = dev.graphql(STATUS, id=run)["runOrError"]["status"]
    return found


def test_the_daemon_takes_the_run_and_it_succeeds(dev: Dev, finished_run: str) -> None:
    log = dev.log.read_text(encoding="utf-8", errors="replace")
    assert status(dev, finished_run) == "SUCCESS", log[-4000:]


def test_the_lineage_page_is_rendered_without_console_errors(
    dev: Dev, finished_run: str, tmp_path: Path
) -> None:
    with browser(tmp_path) as chromium:
        chromium.get(f"{dev.url}/asset-groups")
        rendered = ("datasets", "alignment", "reward", "policy", "reasons", "recommender")

        def shown() -> bool:
            text = chromium.find_element("tag name", "body").text
            return all(name in text for name in rendered)

        wait_for("the lineage page", shown, 60, dev.log)
        chromium.save_screenshot(str(tmp_path / "lineage.png"))
        severe = [entry for entry in chromium.get_log("browser") if entry["level"] == "SEVERE"]
    assert severe == []


def test_automation_leaves_finished_work_alone(dev: Dev, finished_run: str) -> None:
    selector = {
        "repositoryLocationName": "curec",
        "repositoryName": "__repository__",
        "sensorName": "fast_lane",
    }
    ended = time.time()

    def ticked() -> bool:
        state = dev.graphql(TICKS, selector=selector)["sensorOrError"]["sensorState"]
        assert state["status"] == "RUNNING"
        return any(tick["timestamp"] > ended for tick in state["ticks"])

    wait_for("a tick of the automation sensor", ticked, 120, dev.log)
    runs = [run["runId"] for run in dev.graphql(RUNS)["runsOrError"]["results"]]
    assert runs == [finished_run]


@contextmanager
def elsewhere() -> Iterator[tuple[str, list[str]]]:
    """A server that is not ours: its address, and the paths that were asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(204)
            self.end_headers()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


HOSTILE = """
extends = "smoke"
[data]
source = "files"
interactions_path = "interactions.csv"
items_path = "items.csv"
"""


def test_no_title_makes_the_page_ask_elsewhere(tmp_path: Path) -> None:
    with elsewhere() as (address, asked):
        titles = [
            f"<img src='{address}/html'>",
            f"![seen]({address}/markdown)",
            f"[click]({address}/link)",
            f"<script src='{address}/script'> x",
            f"{address}/bare",
        ]
        items = ToySource(1).items().select("item_id", "title").sort("item_id")
        hostile = pl.DataFrame({"item_id": items["item_id"].head(5), "title": titles})
        items.update(hostile, on="item_id").write_csv(tmp_path / "items.csv")
        all_rows(ToySource(1)).write_csv(tmp_path / "interactions.csv")
        profile = tmp_path / "hostile.toml"
        profile.write_text(HOSTILE, encoding="utf-8")
        environment = environment_of(tmp_path, str(profile))
        make = "dagster asset materialize -m curec_assets.definitions --select raw_items,items"
        subprocess.run(
            [sys.executable, "-m", *make.split()], cwd=REPOSITORY, env=environment, check=True
        )
        with serving("dagster_webserver", environment) as server, browser(tmp_path) as chromium:
            chromium.get(f"{server.url}/assets/items?view=events")

            def rendered() -> bool:
                for button in chromium.find_elements("xpath", "//*[text()='[Show Markdown]']"):
                    button.click()  # where it is too long to be shown at once
                return bool(chromium.find_elements("xpath", "//th[text()='item_id']"))

            wait_for("the table of items", rendered, 60, server.log)
            table = chromium.find_element("xpath", "//th[text()='item_id']/ancestor::table[1]")
            cells = table.find_elements("tag name", "td")
            shown = "\n".join(cell.text for cell in cells)
            made = [cell.find_elements("css selector", "a, img, script") for cell in cells]
            chromium.execute_script("new Image().src = arguments[0]", f"{address}/control")
            wait_for("the request that must be seen", lambda: "/control" in asked, 30, server.log)
    assert asked == ["/control"]
    assert not any(made)
    assert [title for title in titles if title not in shown] == []
