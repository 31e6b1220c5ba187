"""A small read API over what is stored: recommendations, explanations, health.

Recommendations are held in memory and looked at again every few seconds, so no request waits for
the warehouse, and no connection stays open that a run would have to wait for.
"""

import logging
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

import polars as pl
from fastapi import FastAPI, HTTPException, Path, Query
from fastapi_offline import FastAPIOffline
from pydantic import BaseModel

from curec_assets.serving.now import SHOWN, Now
from curec_assets.serving.said import explanation_values, recommendation_values
from resources.errors import ConfigError, CurecError
from resources.storage.warehouse import Warehouse

log = logging.getLogger(__name__)

_TABLE = "recommendations"
_SECONDS_BETWEEN_LOOKS = 5.0


class Recommendation(BaseModel):
    """One item for one user."""

    rank: int
    item_id: str
    title: str
    score: float
    """Probability of a like."""
    level: int
    """Verdict of the reason, 1 (will not like it) to 9."""
    reason: str
    source: str
    """Who wrote the reason: `policy` or `composer`; `waiting`: the composer, for now."""
    facts: list[dict[str, Any]]
    """What the reason cites, with the numbers behind it."""


class Recommended(BaseModel):
    """What a user is recommended."""

    user_id: str
    made_at: datetime
    items: list[Recommendation]


class Health(BaseModel):
    """What is being served."""

    status: str
    data_version: str
    made_at: datetime
    users: int


@dataclass(frozen=True)
class Held:
    """The table in memory."""

    data_version: str
    made_at: datetime
    by_user: dict[str, list[dict[str, Any]]]


class Shelf:
    """The stored recommendations, kept up to date by a thread."""

    def __init__(
        self, warehouse: Warehouse, seconds_between_looks: float = _SECONDS_BETWEEN_LOOKS
    ) -> None:
        """Reads them. Raises `ArtifactError` when there are none."""
        self._warehouse = warehouse
        self._pause = seconds_between_looks
        self._ended = threading.Event()
        self._held = self._read()

    @property
    def held(self) -> Held:
        """What is served now."""
        return self._held

    def follow(self) -> None:
        """Look again and again, until `end`; a look that fails leaves what is held."""
        while not self._ended.wait(self._pause):
            try:
                if self._warehouse.data_version(_TABLE) != self._held.data_version:
                    self._held = self._read()
            except CurecError as error:
                log.warning("what is stored cannot be read now, what was read is served: %s", error)

    def end(self) -> None:
        """Let `follow` come to its end."""
        self._ended.set()

    def _read(self) -> Held:
        manifest = self._warehouse.existing_manifest(_TABLE)
        rows = self._warehouse.read(_TABLE, ["user_id", *SHOWN])
        by_user = {
            str(user): recommendation_values(of_user.select(SHOWN))
            for (user,), of_user in rows.group_by("user_id")
        }
        return Held(manifest.data_version, manifest.created_at, by_user)


def read_api(shelf: Shelf, now: Callable[[], Now]) -> FastAPI:
    """The API. `now`: loads what explanations need; called anew when other data is stored."""

    @asynccontextmanager
    async def following(_: FastAPI) -> AsyncIterator[None]:
        thread = threading.Thread(target=shelf.follow, name="shelf", daemon=True)
        thread.start()
        yield
        shelf.end()

    explaining = _Explaining(shelf, now)
    app = FastAPIOffline(title="CURec", lifespan=following, redoc_url=None)

    @app.get("/health")
    async def health() -> Health:
        """Whether it serves, and what."""
        held = shelf.held
        return Health(
            status="ok",
            data_version=held.data_version,
            made_at=held.made_at,
            users=len(held.by_user),
        )

    @app.get("/recommend/{user_id}")
    async def recommend(
        user_id: Annotated[str, Path(max_length=200)],
        top: Annotated[int, Query(ge=1, le=1000)] = 10,
    ) -> Recommended:
        """Stored recommendations of a user, best first."""
        held = shelf.held
        if user_id not in held.by_user:
            raise HTTPException(404, "no recommendations are stored for this user")
        items = [Recommendation(**each) for each in held.by_user[user_id][:top]]
        return Recommended(user_id=user_id, made_at=held.made_at, items=items)

    @app.get("/explain/{user_id}/{item_id}")
    def explain(
        user_id: Annotated[str, Path(max_length=200)],
        item_id: Annotated[str, Path(max_length=200)],
    ) -> dict[str, Any]:
        """Evidence for and against an item now, with its verdict and the reason that is shown."""
        shown = pl.DataFrame(shelf.held.by_user.get(user_id, []))
        reasons = shown.filter(item_id=item_id)["reason"].to_list() if shown.height else []
        try:
            return explaining.values(user_id, item_id, reasons[0] if reasons else "")
        except ConfigError as error:
            raise HTTPException(404, str(error)) from None

    return app


class _Explaining:
    """Evidence for one question at a time: it is read in native code, and loaded once."""

    def __init__(self, shelf: Shelf, now: Callable[[], Now]) -> None:
        self._shelf = shelf
        self._load = now
        self._lock = threading.Lock()
        self._loaded: tuple[str, Now] | None = None

    def values(self, user_id: str, item: str, stored: str) -> dict[str, Any]:
        with self._lock:
            version = self._shelf.held.data_version
            if self._loaded is None or self._loaded[0] != version:
                self._loaded = (version, self._load())
            now = self._loaded[1]
            now.require_user(user_id)
            found = now.explained(user_id, now.item_named(item))
        return explanation_values(found, stored)
