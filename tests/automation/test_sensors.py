"""The source sensor: one run per change of content, whatever the files' times say."""

import os
from pathlib import Path

import dagster as dg
import pytest

from curec_assets.automation.sensors import source_files
from curec_assets.settings import Settings


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


def tick(settings: Settings, cursor: str | None) -> tuple[list[str], str | None]:
    """(run keys requested, cursor afterwards)."""
    context = dg.build_sensor_context(cursor=cursor, resources={"settings": settings})
    data = source_files(context)
    if isinstance(data, dg.SkipReason):
        return [], cursor
    assert isinstance(data, dg.SensorResult)
    return [request.run_key or "" for request in data.run_requests or []], data.cursor


def write(settings: Settings, text: str, time: int) -> None:
    file = Path(settings.resolve().data.interactions_path)
    file.write_text(text, encoding="utf-8")
    os.utime(file, (time, time))


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
    assert tick(settings, None) == tick(settings, None)


def test_a_missing_file_is_said_not_ingested(settings: Settings) -> None:
    Path(settings.resolve().data.items_path).unlink()
    context = dg.build_sensor_context(resources={"settings": settings})
    skipped = source_files(context)
    assert isinstance(skipped, dg.SkipReason)
    assert "items.csv" in (skipped.skip_message or "")


def test_the_embedded_source_has_nothing_to_watch() -> None:
    context = dg.build_sensor_context(resources={"settings": Settings(profile="smoke")})
    assert isinstance(source_files(context), dg.SkipReason)
