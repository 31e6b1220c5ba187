"""Fits that are kept change no number, and are used where they are good."""

import shutil
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curec_assets.evidence import ease, factors
from tests.evidence.conftest import SETTINGS, Read

CUT = 1200


@pytest.fixture(scope="module")
def kept(
    history: tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame],
    read: Read,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """What a read of the first events left."""
    folder = tmp_path_factory.mktemp("fits")
    known = history[0].head(CUT)
    read(known, known, folder)
    assert len(list(folder.iterdir())) == 7
    return folder


@settings(max_examples=10, deadline=None)
@given(
    come=st.integers(0, 600),
    change=st.sampled_from(["none", "late", "flipped", "gone", "settings"]),
    place=st.integers(0, CUT - 1),
)
def test_numbers_are_those_without_kept_fits(
    history: tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame],
    read: Read,
    kept: Path,
    tmp_path_factory: pytest.TempPathFactory,
    come: int,
    change: str,
    place: int,
) -> None:
    """Whatever happened to the log since."""
    known, chosen = history[0].head(CUT + come), SETTINGS
    row = pl.int_range(pl.len()) == place
    if change == "late":
        late = known.filter(row).with_columns(pl.col("timestamp") + 1, item_id=pl.lit("a new one"))
        known = pl.concat([known, late])
    elif change == "flipped":
        known = known.with_columns(liked=pl.col("liked") ^ row)
    elif change == "gone":
        known = known.filter(~row)
    elif change == "settings":
        chosen = SETTINGS.model_copy(update={"factor_ridge": 5.0, "ease_l2": 50.0})
    folder = tmp_path_factory.mktemp("copy") / "fits"
    shutil.copytree(kept, folder)
    asked = known.sort("timestamp").tail(200)
    plain = read(known, asked, None, chosen)
    assert read(known, asked, folder, chosen).equals(plain)
    assert read(known, asked, folder, chosen).equals(plain)  # from what the last one left


def test_new_events_fit_nothing_anew_until_the_log_has_grown(
    history: tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame],
    read: Read,
    kept: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = tmp_path / "fits"
    shutil.copytree(kept, folder)
    fitted: list[str] = []
    sweeps, closed = factors.Factors._fit, ease.Ease._fit
    monkeypatch.setattr(
        factors.Factors, "_fit", lambda *args: (fitted.append("factors"), sweeps(*args))[1]
    )
    monkeypatch.setattr(ease.Ease, "_fit", lambda *args: (fitted.append("ease"), closed(*args))[1])
    events = history[0]
    read(events.head(CUT + 5), events[CUT : CUT + 5], folder)
    assert fitted == []
    read(events, events.tail(5), folder)
    grown = fitted.count("factors")
    assert 0 < grown < 2 * 8, "two targets, and the fits since the kept one"
    assert fitted.count("ease") == len(ease.COLUMNS)


@pytest.mark.fault("a kept fit is damaged")
@pytest.mark.parametrize("damage", ["flipped", "cut", "empty"])
def test_a_damaged_fit_is_made_anew(
    history: tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame],
    read: Read,
    kept: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    damage: str,
) -> None:
    folder = tmp_path / "fits"
    shutil.copytree(kept, folder)
    for file in folder.iterdir():
        content = bytearray(file.read_bytes())
        content[-5] ^= 1
        file.write_bytes(
            {"flipped": bytes(content), "cut": bytes(content[:-9]), "empty": b""}[damage]
        )
    known = history[0].head(CUT)
    assert read(known, known.tail(50), folder).equals(read(known, known.tail(50)))
    assert "made anew" in caplog.text
    caplog.clear()
    read(known, known.tail(50), folder)
    assert "made anew" not in caplog.text


def test_what_cannot_be_kept_is_said_and_no_number_changes(
    history: tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame],
    read: Read,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    in_the_way = tmp_path / "fits"
    in_the_way.write_text("a file")
    known = history[0].head(CUT)
    assert read(known, known.tail(50), in_the_way).equals(read(known, known.tail(50)))
    assert "cannot be kept" in caplog.text
    assert in_the_way.read_text() == "a file"


def test_what_a_kill_left_is_swept(
    history: tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame], read: Read, tmp_path: Path
) -> None:
    left = tmp_path / ".writing-999999999-x"
    left.mkdir()
    known = history[0].head(CUT)
    read(known, known.tail(5), tmp_path)
    assert not left.exists()


def test_shares_of_several_cores_make_the_same_bits(
    history: tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame],
    read: Read,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    known = history[0]
    alone = read(known, known)
    shared: list[int] = []
    sweep = factors._sweep
    monkeypatch.setattr(
        factors, "_sweep", lambda *args: (shared.append(len(args[2])), sweep(*args))
    )
    monkeypatch.setattr(factors, "_SHARED", 1)
    monkeypatch.setattr(factors, "cores", lambda: 3)
    assert read(known, known).equals(alone)
    assert len(shared) % 3 == 0 and max(shared) <= 20, "of 60 users and 40 items"
