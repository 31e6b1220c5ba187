"""The source sensor: one run per change of content, whatever the files' times say."""

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dagster as dg
import pytest

from curec_assets.automation import attempts
from curec_assets.automation.lanes import SLOW
from curec_assets.automation.sensors import WHY, sensors
from curec_assets.core.asset import as_asset
from curec_assets.datasets.assets import events, raw_items
from curec_assets.definitions import recipes
from curec_assets.settings import Settings
from resources.models.downloads import Downloads
from resources.storage.model_store import ModelStore
from resources.storage.warehouse import Warehouse


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    for name in ("interactions", "items"):
        (tmp_path / f"{name}.csv").write_text("one", encoding="utf-8")
    profile = tmp_path / "own.toml"
    profile.write_text(
        'extends = "smoke"\n[data]\nsource = "files"\n'
        'interactions_path = "interactions.csv"\nitems_path = "items.csv"\n',
        encoding="utf-8",
    )
    return Settings(profile=str(profile))


def look(settings: Settings, cursor: str | None, instance: dg.DagsterInstance | None = None) -> Any:
    """What the sensor says."""
    _, source_files = sensors(recipes(), {})
    store = ModelStore(root=str(Path(settings.profile).parent / "models"))
    context = dg.build_sensor_context(
        instance=instance or dg.DagsterInstance.ephemeral(),
        cursor=cursor,
        resources={"settings": settings, "model_store": store},
    )
    return source_files(context)


def tick(settings: Settings, cursor: str | None) -> tuple[list[str], str | None]:
    """(run keys requested, cursor afterwards), of two looks."""
    keys: list[str] = []
    for _ in range(2):
        found = look(settings, cursor)
        keys += [request.run_key for request in getattr(found, "run_requests", None) or []]
        cursor = getattr(found, "cursor", None) or cursor
    return keys, cursor


def write(settings: Settings, text: str, time: int) -> None:
    file = Path(settings.resolve().data.interactions_path)
    file.write_text(text, encoding="utf-8")
    os.utime(file, (time, time))


def test_a_file_that_is_being_written_is_not_read(settings: Settings) -> None:
    cursor = None
    for time, text in enumerate(["one", "one two", "one two three"], start=1):
        write(settings, text, time)
        found = look(settings, cursor)
        assert not found.run_requests
        assert "stand still" in found.skip_reason.skip_message
        cursor = found.cursor
    [request] = look(settings, cursor).run_requests
    names = {key.to_user_string() for key in request.asset_selection}
    assert names >= {"events", "raw_items", "items", "interactions"}
    assert not names & set(SLOW)
    assert "interactions.csv" in request.tags[WHY]


def test_files_are_ingested_once(settings: Settings) -> None:
    first, cursor = tick(settings, None)
    assert len(first) == 1
    assert tick(settings, cursor) == ([], cursor)


def test_touched_files_with_the_same_content_are_not_ingested_again(settings: Settings) -> None:
    _, cursor = tick(settings, None)
    write(settings, "one", time=5)
    again, _ = tick(settings, cursor)
    assert again == []


def test_content_that_comes_back_is_a_new_batch(settings: Settings) -> None:
    keys, cursor = tick(settings, None)
    for time, text in enumerate(["two", "one", "two", "one"]):
        write(settings, text, time)
        new, cursor = tick(settings, cursor)
        keys += new
    assert len(set(keys)) == 5


def test_a_repeated_tick_asks_for_the_same_run(settings: Settings) -> None:
    assert tick(settings, None)[0] == tick(settings, None)[0]


def test_a_missing_file_is_said_not_ingested(settings: Settings) -> None:
    Path(settings.resolve().data.items_path).unlink()
    skipped = look(settings, None)
    assert isinstance(skipped, dg.SkipReason)
    assert "items.csv" in (skipped.skip_message or "")


def test_an_empty_inbox_is_said(settings: Settings) -> None:
    file = Path(settings.resolve().data.interactions_path)
    file.unlink()
    file.mkdir()
    assert "nothing has come" in (look(settings, None).skip_message or "")
    (file / "1.csv").write_text("one", encoding="utf-8")
    _, cursor = tick(settings, None)
    (file / "2.csv").write_text("two", encoding="utf-8")
    assert not look(settings, cursor).run_requests
    (file / "2.csv.done").touch()
    assert look(settings, cursor).run_requests


def test_of_a_pattern_only_what_fits_is_waited_for(settings: Settings) -> None:
    profile = Path(settings.profile)
    text = profile.read_text("utf-8")
    profile.write_text(text.replace('"interactions.csv"', '"nowhere/part-*.csv"'), "utf-8")
    assert "part-*.csv" in (look(settings, None).skip_message or "")
    profile.write_text(text.replace('"interactions.csv"', '"part-*.csv"'), "utf-8")
    assert "nothing has come" in (look(settings, None).skip_message or "")
    (profile.parent / "part-1.csv").write_text("one", encoding="utf-8")
    keys, cursor = tick(settings, None)
    assert keys
    (profile.parent / "other.csv").write_text("two", encoding="utf-8")
    assert not look(settings, cursor).run_requests
    assert "stand still" not in look(settings, cursor).skip_reason.skip_message
    (profile.parent / "part-2.csv").write_text("two", encoding="utf-8")
    assert "stand still" in look(settings, cursor).skip_reason.skip_message


def test_a_file_elsewhere_is_not_watched(settings: Settings) -> None:
    profile = Path(settings.profile)
    text = profile.read_text("utf-8")
    profile.write_text(text.replace('"items.csv"', '"https://host/items.csv?key=secret"'), "utf-8")
    said = look(settings, None).skip_message or ""
    assert said == "https://host/items.csv is elsewhere, and is read when a run asks"


def test_the_embedded_source_has_nothing_to_watch() -> None:
    assert isinstance(look(Settings(profile="smoke"), None), dg.SkipReason)


def test_what_was_read_already_is_not_asked_for(
    settings: Settings, instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    write(settings, "user_id,item_id,rating,timestamp\nu,i,4,1700000000\n", time=1)
    (tmp_path / "items.csv").write_text("item_id,title\ni,Heat\n", encoding="utf-8")
    cursor = look(settings, None, instance).cursor
    assert look(settings, cursor, instance).run_requests
    read = dg.materialize(
        [as_asset(events), as_asset(raw_items)],
        instance=instance,
        resources={
            "settings": settings,
            "warehouse": Warehouse(path=str(tmp_path / "w.duckdb")),
            "model_store": ModelStore(root=str(tmp_path / "models")),
            "downloads": Downloads(cache_dir=str(tmp_path / "downloads")),
        },
    )
    assert read.success
    found = look(settings, cursor, instance)
    assert not found.run_requests
    assert found.skip_reason.skip_message == "the files have been read"


def test_a_reading_that_failed_is_asked_for_again_ever_later_and_not_for_ever(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1e9
    monkeypatch.setattr(attempts, "time", SimpleNamespace(time=lambda: now))
    cursor, keys = look(settings, None).cursor, set()
    for wait in (60, 120, 240, 1e6):
        found = look(settings, cursor)
        keys |= {request.run_key for request in found.run_requests}
        cursor = found.cursor
        now += wait - 1
        assert not look(settings, cursor).run_requests
        now += 1
    assert len(keys) == 4
    assert "in vain" in look(settings, cursor).skip_reason.skip_message
    write(settings, "two", time=7)
    assert len(tick(settings, cursor)[0]) == 1
