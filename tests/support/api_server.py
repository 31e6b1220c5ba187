"""`curec serve` as a process of its own."""

import http.client
import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from benchmarks.chaos.home import Home

LISTENING = re.compile(r"http://127\.0\.0\.1:(\d+)")


class Server:
    """`curec serve` on a home."""

    def __init__(self, process: "subprocess.Popen[bytes]", log: Path) -> None:
        self.process = process
        self.log = log
        deadline = time.monotonic() + 60
        while not (found := LISTENING.search(log.read_text("utf-8"))):
            assert process.poll() is None and time.monotonic() < deadline, log.read_text("utf-8")
            time.sleep(0.1)
        self.port = int(found[1])

    def get(self, path: str) -> tuple[int, Any]:
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)) as connection:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())

    def milliseconds(self, path: str, seconds: float, clients: int) -> list[float]:
        """Of every request that so many clients made, rising."""
        found: list[float] = []

        def ask() -> None:
            mine = []
            with closing(http.client.HTTPConnection("127.0.0.1", self.port)) as connection:
                while time.monotonic() < end:
                    began = time.perf_counter()
                    connection.request("GET", path)
                    answer = connection.getresponse()
                    answer.read()
                    assert answer.status == 200
                    mine.append((time.perf_counter() - began) * 1e3)
            found.extend(mine)

        end = time.monotonic() + seconds
        threads = [threading.Thread(target=ask) for _ in range(clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return sorted(found)


@contextmanager
def serving(home: Home) -> Iterator[Server]:
    command = [sys.executable, "-m", "curec_assets.cli", "serve", "--port", "0"]
    log = home.path.with_name("serve.log")
    with (
        log.open("wb") as stream,
        subprocess.Popen(command, env=home.environment, stderr=stream) as process,
    ):
        try:
            yield Server(process, log)
        finally:
            process.terminate()
