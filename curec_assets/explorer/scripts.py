"""marimo's scripts, from memory.

A page asks for some 250 of them, and `StaticFiles` reads each chunk of each in a thread. From
memory the first page is there about a tenth sooner.
"""

import mimetypes
from functools import cache
from importlib.metadata import distribution
from pathlib import Path

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

_ASSETS = "/assets/"
_FOLDER = Path(str(distribution("marimo").locate_file("marimo/_static/assets")))
_KEPT = {"cache-control": "public, max-age=31536000, immutable"}  # names change with content


class WithScripts:
    """An ASGI app of marimo's, and its scripts before it."""

    def __init__(self, pages: ASGIApp) -> None:
        """`pages`: what answers everything else."""
        self._pages = pages
        self._names = frozenset(file.name for file in _FOLDER.iterdir() if file.is_file())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, as ASGI asks."""
        name = str(scope.get("path", "")).removeprefix(_ASSETS)
        asked = scope["type"] == "http" and scope["method"] == "GET" and name in self._names
        answer = _script(name) if asked else self._pages
        await answer(scope, receive, send)


@cache
def _script(name: str) -> Response:
    kind = mimetypes.guess_type(name)[0]
    return Response((_FOLDER / name).read_bytes(), media_type=kind, headers=_KEPT)
