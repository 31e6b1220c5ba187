"""A real PostgreSQL server of Debian's package, on a free port, that asks for a password."""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_OWNER = "owner"


@dataclass
class Server:
    """A cluster of its own, which can go away and come back."""

    binaries: Path
    folder: Path
    port: int
    password: str
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def url(self) -> str:
        """Without the password."""
        return f"postgresql://{_OWNER}@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        """Until it takes connections."""
        self.process = subprocess.Popen(
            [
                *(self.binaries / "postgres", "-D", self.folder / "data", "-F"),
                *("-p", str(self.port), "-h", "127.0.0.1", "-k", self.folder),
                *("-c", "shared_buffers=8MB", "-c", "max_connections=10"),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            **_unprivileged(),
        )
        for _ in range(600):
            ready = [self.binaries / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)]
            if subprocess.run(ready, check=False).returncode == 0:
                return
            time.sleep(0.05)
        raise TimeoutError(f"PostgreSQL in {self.folder} takes no connections")

    def stop(self) -> None:
        """At once, whoever is connected."""
        if self.process:
            self.process.send_signal(signal.SIGQUIT)
            self.process.wait()
            self.process = None


def binaries() -> Path | None:
    """Where the newest server is; None where none is installed."""
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    found = shutil.which("initdb") if not versions else str(versions[-1])
    return Path(found).resolve().parent if found else None


@contextmanager
def server(where: Path) -> Iterator[Server]:
    """Makes a cluster below /tmp, for only there may its unprivileged user look."""
    folder = Path(tempfile.mkdtemp(prefix="curec-postgresql-"))
    made = Server(where, folder, _free_port(), secrets.token_hex(8))
    try:
        if os.geteuid() == 0:
            shutil.chown(folder, "postgres", "postgres")
        given = folder / "password"
        given.write_text(made.password, encoding="utf-8")
        given.chmod(0o644)
        subprocess.run(
            [
                *(where / "initdb", "-D", folder / "data", "-U", _OWNER, "-A", "scram-sha-256"),
                *(f"--pwfile={given}", "-N", "-E", "UTF8", "--locale=C", "--no-instructions"),
            ],
            check=True,
            stdout=subprocess.DEVNULL,
            **_unprivileged(),
        )
        given.unlink()
        made.start()
        yield made
    finally:
        made.stop()
        shutil.rmtree(folder)


def _unprivileged() -> dict[str, Any]:
    """A server refuses to run as root."""
    root = os.geteuid() == 0
    return {"user": "postgres", "group": "postgres", "extra_groups": []} if root else {}


def _free_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return int(bound.getsockname()[1])
