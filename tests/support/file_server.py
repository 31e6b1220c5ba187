"""A real HTTP server on loopback, with the ways in which one fails; it also answers as S3 does."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import parse_qsl, unquote, urlsplit
from xml.sax.saxutils import escape


@dataclass
class Served:
    """What it serves, and what it was asked for."""

    port: int
    files: dict[str, bytes] = field(default_factory=dict)
    """Path → content. Below `/cut/` half of it comes, below `/slow/` a byte at a time."""
    asked: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def file_server() -> Iterator[Served]:
    """Until the block ends."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    server.served = Served(server.server_address[1])  # type: ignore[attr-defined]
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server.served  # type: ignore[attr-defined]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _listing(served: Served, bucket: str, path: str) -> bytes:
    """As S3's ListObjectsV2 answers: what is in a folder of a bucket, and which folders are."""
    asked = dict(parse_qsl(urlsplit(path).query))
    prefix = asked.get("prefix", "")
    keys = [name.partition("/")[2] for name in served.files if name.startswith(f"{bucket}/")]
    inside = [key for key in keys if key.startswith(prefix)]
    files = [key for key in inside if "/" not in key[len(prefix) :]]
    folders = {prefix + key[len(prefix) :].split("/")[0] + "/" for key in set(inside) - set(files)}
    parts = [
        f"<Contents><Key>{escape(key)}</Key><Size>{len(served.files[f'{bucket}/{key}'])}</Size>"
        "<LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents>"
        for key in files
    ]
    parts += [f"<CommonPrefixes><Prefix>{escape(f)}</Prefix></CommonPrefixes>" for f in folders]
    return (
        f"<ListBucketResult><Name>{bucket}</Name><KeyCount>{len(parts)}</KeyCount>"
        f"<IsTruncated>false</IsTruncated>{''.join(parts)}</ListBucketResult>"
    ).encode()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        served: Served = self.server.served  # type: ignore[attr-defined]
        served.asked.append(f"{self.command} {self.path}")
        _, first, *rest = self.path.partition("?")[0].split("/")
        if first in ("404", "503"):
            return self._send(int(first), b"")
        if first == "elsewhere":
            return self._send(302, b"", location="/" + "/".join(rest))
        name = "/".join(rest) if first in ("cut", "slow") else self.path.partition("?")[0][1:]
        if "list-type=2" in self.path:
            return self._send(200, _listing(served, first, self.path))
        content = served.files.get(name, served.files.get(unquote(name)))
        if content is None:
            return self._send(404, b"")
        wanted = self.headers.get("Range")
        if wanted:
            start, end = wanted.removeprefix("bytes=").split("-")
            return self._send(206, content[int(start) : int(end) + 1])
        return self._send(200, content, how=first)

    def _send(self, status: int, content: bytes, how: str = "", location: str = "") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Connection", "close")  # `cut` closes it: no client may ask on it again
        if location:
            self.send_header("Location", location)
        self.end_headers()
        if self.command == "HEAD":
            return
        with suppress(ConnectionError):
            if how == "slow":
                for byte in content:
                    self.wfile.write(bytes([byte]))
                    time.sleep(0.02)
            else:
                self.wfile.write(content[: len(content) // 2] if how == "cut" else content)
