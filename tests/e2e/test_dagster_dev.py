"""What a user does: `dagster dev`, launch `everything` in the UI, look at the lineage page."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

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
    home = tmp_path_factory.mktemp("e2e")
    dagster_home = home / "dagster"
    dagster_home.mkdir()
    shutil.copy(REPOSITORY / "deploy" / "dagster.yaml", dagster_home)
    port, log = free_port(), home / "dagster-dev.log"
    command = f"dagster dev --workspace workspace.yaml --host 127.0.0.1 --port {port}"
    environment = {
        **os.environ,
        "DAGSTER_HOME": str(dagster_home),
        "CUREC_HOME": str(home),
        "CUREC_PROFILE": "smoke",
    }
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
            wait_for("dagster dev", server.is_up, 120, log)
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
