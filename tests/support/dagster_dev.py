"""`dagster dev` or the webserver as processes of their own, and a browser to look at them with."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

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
LOCATIONS = """
{ workspaceOrError { ... on Workspace {
    locationEntries { name locationOrLoadError { __typename } } } } }
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
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    window = Chrome(options=options, service=Service(driver))
    try:
        yield window
    finally:
        window.quit()


def hosts_asked(window: Any) -> set[str]:
    """Hosts that the browser's pages have sent requests to since the last call."""
    events = [json.loads(entry["message"])["message"] for entry in window.get_log("performance")]
    sent = [each["params"] for each in events if each["method"] == "Network.requestWillBeSent"]
    urls = [urllib.parse.urlsplit(each["request"]["url"]) for each in sent]
    return {url.hostname or "" for url in urls if url.scheme in ("http", "https", "ws", "wss")}


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
