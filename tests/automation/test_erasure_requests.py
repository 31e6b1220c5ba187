"""Requests of erasure in the inbox: seen once, asked for once, and again when that failed."""

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dagster as dg
import pytest

from curec_assets.automation import attempts
from curec_assets.automation.erasure import erasure_requests
from curec_assets.datasets.sources.erasure_requests import read_requests, request_files
from curec_assets.settings import Settings
from resources.errors import DataError


class Inbox:
    """A sensor over an inbox, tick after tick."""

    def __init__(self, folder: Path, instance: dg.DagsterInstance) -> None:
        self.folder = folder
        self.instance = instance
        self.cursor: str | None = None
        data = {"source": "files", "interactions_path": str(folder), "items_path": "items.csv"}
        self.settings = Settings(profile="smoke", data=data)

    def put(self, name: str, text: bytes) -> None:
        (self.folder / name).write_bytes(text)
        os.utime(self.folder / name, (1, 1))

    def tick(self) -> list[dg.RunRequest]:
        context = dg.build_sensor_context(
            self.instance, cursor=self.cursor, resources={"settings": self.settings}
        )
        found: Any = erasure_requests(context)
        if isinstance(found, dg.SkipReason):
            return []
        self.cursor = found.cursor
        return list(found.run_requests)

    def asked(self) -> list[list[str]]:
        files = request_files(self.settings.resolve().data)
        return [request.users for request in read_requests(files)]


@pytest.fixture
def inbox(tmp_path: Path, instance: dg.DagsterInstance) -> Inbox:
    return Inbox(tmp_path, instance)


def test_a_request_is_asked_for_once_and_the_run_names_nobody(inbox: Inbox) -> None:
    inbox.put("events.csv", b"user_id\n")
    assert inbox.tick() == []
    inbox.put("by mail.forget", b"u42\n")
    inbox.put(".hidden.forget", b"u43\n")
    [request] = inbox.tick()
    assert request.tags["curec/why"] == "requests of erasure: by mail.forget"
    assert "u42" not in f"{request.tags}{request.run_key}{inbox.cursor}"
    assert inbox.tick() == []


def test_what_failed_is_asked_for_again_ever_later_and_not_for_ever(
    inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr(attempts, "time", SimpleNamespace(time=lambda: now))
    inbox.put("a.forget", b"u42")
    asked = []
    for _ in range(200):
        asked += [(now, request.run_key) for request in inbox.tick()]
        now += 15
    assert [time for time, _ in asked] == [0, 60, 180, 420]
    assert len({key for _, key in asked}) == 4
    inbox.put("a.forget", b"u42\nu43")
    assert len(inbox.tick()) == 1


def test_users_are_read_a_line_each_and_the_file_goes_unless_it_has_changed(inbox: Inbox) -> None:
    inbox.put("a.forget", "u42 \r\n\n  ü 7\n".encode())
    assert inbox.asked() == [["u42", "ü 7"]]
    [request] = read_requests([inbox.folder / "a.forget"])
    inbox.put("a.forget", b"u44")
    request.answered()
    assert inbox.asked() == [["u44"]]
    [request] = read_requests([inbox.folder / "a.forget"])
    request.answered()
    assert inbox.asked() == []


def test_what_is_no_text_is_refused_by_name(inbox: Inbox) -> None:
    inbox.put("a.forget", b"\xff\xfe\x00")
    with pytest.raises(DataError, match=r"a\.forget is no UTF-8 text.*one id"):
        inbox.asked()


def test_without_an_inbox_there_are_no_requests(inbox: Inbox, tmp_path: Path) -> None:
    inbox.put("a.forget", b"u42")
    settings = Settings(profile="smoke")
    assert request_files(settings.resolve().data) == []
