"""What a user does: `dagster dev`, launch `everything` in the UI, look at the lineage page.

Of the one run: what its step processes do with pools, locks and files.
"""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import combinations
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from curec_assets.automation.lanes import FAST, INGEST, SLOW
from curec_assets.datasets.sources.toy import ToySource
from curec_assets.definitions import KEPT, build_definitions
from resources.storage.private import open_to_others
from tests.support.dagster_dev import REPOSITORY, Dev, browser, environment_of, serving, wait_for
from tests.support.reading import all_rows

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

ASSETS = (*INGEST, *FAST, *SLOW)
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
RUNS = "{ runsOrError { ... on Runs { results { runId } } } }"
TICKS = """
query Ticks($selector: SensorSelector!) {
  sensorOrError(sensorSelector: $selector) {
    ... on Sensor { sensorState { status ticks(limit: 50) { status timestamp } } }
  }
}
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As a careless shell makes it."""
    folder = tmp_path_factory.mktemp("e2e")
    folder.chmod(0o755)
    return folder


@pytest.fixture(scope="module")
def dev(home: Path) -> Iterator[Dev]:
    with serving("dagster dev", environment_of(home, "smoke")) as server:
        yield server


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


@dataclass(frozen=True)
class Step:
    """When a step held its pool, and in which process."""

    key: str
    pool: str
    process: str
    start: float
    end: float

    def overlaps(self, other: "Step") -> bool:
        return self.start < other.end and other.start < self.end


@pytest.fixture(scope="module")
def instance(home: Path, finished_run: str) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.from_config(str(home / "dagster")) as found:
        yield found


@pytest.fixture(scope="module")
def steps(home: Path, instance: dg.DagsterInstance, finished_run: str) -> list[Step]:
    assets = build_definitions(profile="smoke", home=home).resolve_asset_graph()
    pools = {
        key.to_user_string(): next(iter(assets.get(key).pools), "")
        for key in assets.get_all_asset_keys()
    }
    starts: dict[str, float] = {}
    processes: dict[str, str] = {}
    found = []
    for entry in instance.all_logs(finished_run):
        event, key = entry.dagster_event, entry.step_key
        if event is None or key is None:
            continue
        if event.event_type == dg.DagsterEventType.STEP_WORKER_STARTED:
            processes[key] = str(event.engine_event_data.metadata["pid"].value)
        elif event.event_type == dg.DagsterEventType.STEP_START:
            starts[key] = entry.timestamp
        elif event.event_type == dg.DagsterEventType.STEP_SUCCESS:
            found.append(
                Step(key, pools.get(key, ""), processes[key], starts[key], entry.timestamp)
            )
    return found


def test_every_step_has_a_process_of_its_own(steps: list[Step]) -> None:
    assert len({step.process for step in steps}) == len(steps) >= len(ASSETS)


@pytest.mark.parametrize("pool", ["gpu", "warehouse"])
def test_one_step_at_a_time_in_a_pool(steps: list[Step], pool: str) -> None:
    own = [step for step in steps if step.pool == pool]
    assert len(own) > 2
    together = [(a.key, b.key) for a, b in combinations(own, 2) if a.overlaps(b)]
    assert together == []


@pytest.mark.parametrize("pool", ["gpu", "warehouse"])
def test_no_pool_slot_is_left_taken(instance: dg.DagsterInstance, pool: str) -> None:
    info = instance.event_log_storage.get_concurrency_info(pool)
    assert info.active_slot_count == 0
    assert info.pending_step_count == 0


def test_nothing_that_steps_made_is_open_to_other_users(home: Path, finished_run: str) -> None:
    made = [pattern for pattern in KEPT if pattern != "dagster"]  # the server's: see `make ui`
    assert list(open_to_others(home, made)) == []


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


@pytest.mark.fault("markup in titles, in a browser")
def test_no_title_makes_the_page_ask_elsewhere(tmp_path: Path) -> None:
    with elsewhere() as (address, asked):
        titles = [
            f"Heat <img src='{address}/html'>",
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
