"""The stage as Dagster runs it, on the toy set: everything passes, and twice means no work."""

import shutil
import threading
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest

from curec_assets.cli.app import main
from curec_assets.core.asset import as_asset
from curec_assets.datasets import assets, checks, schema
from curec_assets.datasets.drawn import drawn_ids
from curec_assets.datasets.ledger import current_events
from curec_assets.settings import Settings
from resources.models.downloads import Downloads
from resources.storage.model_store import ModelStore
from resources.storage.warehouse import Warehouse

ASSETS = [as_asset(recipe) for recipe in assets.RECIPES]
CHECKS = dg.load_asset_checks_from_modules([checks])


def run(home: Path, **overrides: Any) -> dg.ExecuteInProcessResult:
    return dg.materialize(
        [*ASSETS, *CHECKS],
        resources={
            "settings": Settings(profile="smoke", **overrides),
            "warehouse": Warehouse(path=str(home / "warehouse.duckdb")),
            "downloads": Downloads(cache_dir=str(home / "cache")),
            "model_store": ModelStore(root=str(home / "models")),
        },
        raise_on_error=False,
    )


def recorded(result: dg.ExecuteInProcessResult) -> dict[str, dict[str, Any]]:
    return {
        event.materialization.asset_key.to_user_string(): {
            name: value.value for name, value in event.materialization.metadata.items()
        }
        for event in result.get_asset_materialization_events()
    }


@pytest.fixture(scope="module")
def first_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("first")


@pytest.fixture(scope="module")
def first(first_home: Path) -> dg.ExecuteInProcessResult:
    return run(first_home)


@pytest.fixture
def again(first: dg.ExecuteInProcessResult, first_home: Path, tmp_path: Path) -> Path:
    """A home in which everything was materialised once."""
    return Path(shutil.copytree(first_home, tmp_path / "again"))


def test_all_checks_pass_and_tables_have_their_columns(
    first: dg.ExecuteInProcessResult, first_home: Path
) -> None:
    evaluations = first.get_asset_check_evaluations()
    assert first.success and len(evaluations) == 8
    assert [check.check_name for check in evaluations if not check.passed] == []
    warehouse = Warehouse(path=str(first_home / "warehouse.duckdb"))
    tables = {
        "events": schema.EVENTS,
        "batches": schema.BATCHES,
        "quarantine": schema.QUARANTINE,
        "raw_items": schema.RAW_ITEMS,
        "items": schema.ITEMS,
        "interactions": schema.INTERACTIONS,
        "training_snapshot": schema.INTERACTIONS,
        "event_splits": schema.EVENT_SPLITS,
    }
    for name, columns in tables.items():
        assert warehouse.read(name).schema == columns, name


def test_a_second_run_does_no_work(first: dg.ExecuteInProcessResult, again: Path) -> None:
    before, after = recorded(first), recorded(run(again))
    assert not any(metadata["cached"] for metadata in before.values())
    assert all(metadata["cached"] for metadata in after.values())
    for name in before:
        assert before[name]["fingerprint"] == after[name]["fingerprint"]
        assert before[name]["manifest"]["data_version"] == after[name]["manifest"]["data_version"]


def test_a_setting_redoes_only_what_depends_on_it(again: Path) -> None:
    after = recorded(run(again, split={"reward_fold_fraction": 0.4}))
    assert [name for name, metadata in after.items() if not metadata["cached"]] == ["event_splits"]


def files(home: Path, events: pl.DataFrame, **data: Any) -> dict[str, Any]:
    """The settings of a source of two files in `home`."""
    events.write_csv(home / "events.csv")
    pl.DataFrame({"item_id": ["a", "b"], "title": ["A", None]}).write_csv(home / "items.csv")
    paths = {f"{name}_path": str(home / file) for name, file in FILES.items()}
    return {"source": "files", **paths, **data}


FILES = {"interactions": "events.csv", "items": "items.csv"}
EVENTS = pl.DataFrame(
    {
        "user_id": ["u", "v", "u", "v", "w"],
        "item_id": ["a", "b", "b", "ghost", "a"],
        "rating": [1, 2, 3, 4, 5],
        "timestamp": [1_700_000_000 + number for number in range(5)],
    }
)
MANY = pl.concat([EVENTS.with_columns(pl.col("timestamp") + 10 * n) for n in range(20)])


def test_unknown_items_are_left_out_counted_and_shown(home: Path) -> None:
    found = recorded(run(home, data=files(home, EVENTS)))["interactions"]
    assert (found["left_out_unknown_item"], found["unknown_items"]) == (1, "ghost")
    assert found["dagster/row_count"] == 4
    for picture in ("events_over_time", "events_per_user_and_item", "ratings_picture"):
        assert found[picture].startswith("![")


def test_checks_find_repeated_events_and_unknown_items(home: Path) -> None:
    warehouse = Warehouse(path=str(home / "warehouse.duckdb"))
    with warehouse.writing() as connection:
        connection.execute("CREATE TABLE items AS SELECT 'a' AS item_id")
        connection.execute(
            "CREATE TABLE interactions AS SELECT * FROM "
            "(VALUES ('1', 'a'), ('1', 'a'), ('2', 'z')) AS rows(event_id, item_id)"
        )
    assert not checks.interactions_unique(warehouse=warehouse).passed
    assert not checks.interactions_items_known(warehouse=warehouse).passed
    for ids, unique in (("'1'), ('2'", True), ("NULL), ('1'", False)):
        with warehouse.writing() as connection:
            connection.execute(
                "CREATE OR REPLACE TABLE interactions AS "
                f"SELECT event_id, 'a' AS item_id FROM (VALUES ({ids})) AS rows(event_id)"
            )
        assert checks.interactions_unique(warehouse=warehouse).passed == unique
    assert checks.interactions_items_known(warehouse=warehouse).passed


@pytest.mark.fault("rows that cannot be read")
def test_a_bad_row_is_left_out_warned_of_and_listed(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = MANY.with_columns(
        rating=pl.when(pl.int_range(pl.len()) == 7).then(pl.lit("?")).otherwise("rating")
    )
    result = run(home, data=files(home, broken))
    assert recorded(result)["events"]["current_events"] == 99
    assert recorded(result)["quarantine"]["rows_left_out"] == 1
    [check] = [c for c in result.get_asset_check_evaluations() if not c.passed]
    assert check.check_name == "nothing_in_quarantine"
    assert check.severity == dg.AssetCheckSeverity.WARN
    monkeypatch.setenv("CUREC_HOME", str(home))
    assert main(["quarantine"]) == 0
    said = capsys.readouterr().out
    assert "1 rows were left out" in said
    assert "events.csv    8  rating" in said
    run(home, data=files(home, MANY))
    assert main(["quarantine"]) == 0
    assert "Nothing is in quarantine" in capsys.readouterr().out


@pytest.mark.fault("a half-copied file")
def test_a_half_copied_file_is_refused_and_what_was_stored_stays(home: Path) -> None:
    def stored() -> pl.DataFrame:
        ledger = Warehouse(path=str(home / "warehouse.duckdb")).read("events")
        return current_events(ledger)

    assert run(home, data=files(home, MANY)).success
    before = stored()
    half = run(home, data=files(home, MANY.head(50)))
    assert not half.success
    [failure] = [event for event in half.all_events if event.is_step_failure]
    error = failure.step_failure_data.error
    assert error is not None and error.cause is not None
    for part in ("lack 50 of the 100 known", "data.most_lost_share = 0.1", "Copy the file again"):
        assert part in error.cause.message
    assert stored().equals(before)
    assert run(home, data=files(home, MANY.tail(95))).success
    assert stored().height == 95
    (home / "events.csv.done").touch()
    assert run(home, data=files(home, MANY.head(50))).success
    assert stored().height == 50


def inbox(home: Path, *contents: tuple[str, pl.DataFrame]) -> dict[str, Any]:
    """The settings of a source whose interactions come in a folder, after files have come in."""
    folder = home / "inbox"
    folder.mkdir(exist_ok=True)
    for name, rows in contents:
        rows.write_csv(folder / name)
        (folder / f"{name}.done").touch()
    (home / "items.csv").write_text("item_id,title\na,A\nb,B\n", encoding="utf-8")
    return {
        "source": "files",
        "interactions_path": str(folder),
        "items_path": str(home / "items.csv"),
    }


JANUARY, FEBRUARY = MANY.head(60), MANY.slice(50, 40)  # they overlap
CORRECTED = JANUARY.with_columns(  # what February says too stays, and two events are gone
    rating=pl.when(pl.int_range(pl.len()) < 40).then(6 - pl.col("rating")).otherwise("rating")
).tail(58)
TAKEN_BACK = MANY.slice(70, 3).with_columns(operation=pl.lit("delete"))
LATE = pl.DataFrame({**EVENTS.row(0, named=True), "timestamp": 1_600_000_000})
ARRIVALS = {
    "1.csv": JANUARY,
    "2.csv": FEBRUARY,
    "3.csv": TAKEN_BACK,
    "4.csv": LATE,
}


def tables(home: Path) -> dict[str, pl.DataFrame]:
    warehouse = Warehouse(path=str(home / "warehouse.duckdb"))
    return {name: warehouse.read(name) for name in ("interactions", "quarantine")}


def versions(result: dg.ExecuteInProcessResult) -> dict[str, str]:
    return {
        name: metadata["manifest"]["data_version"] for name, metadata in recorded(result).items()
    }


@pytest.mark.parametrize("feedback", ["explicit", "implicit"])
def test_files_that_come_one_by_one_make_what_files_that_come_at_once_make(
    feedback: str, tmp_path: Path
) -> None:
    def ingested(folder: Path, *files: tuple[str, pl.DataFrame]) -> dg.ExecuteInProcessResult:
        folder.mkdir(exist_ok=True)
        found = run(folder, data=inbox(folder, *files) | {"feedback": feedback})
        assert found.success
        return found

    one_by_one, at_once = tmp_path / "one by one", tmp_path / "at once"
    for arrival in ARRIVALS.items():
        last = ingested(one_by_one, arrival)
    whole = ingested(at_once, *ARRIVALS.items())
    assert versions(last) == versions(whole)
    for name, rows in tables(one_by_one).items():
        assert rows.equals(tables(at_once)[name]), name
    drawn = tables(at_once)["interactions"].filter(~schema.OBSERVED)
    assert drawn.is_empty() is (feedback == "explicit")

    if feedback == "implicit":  # what is drawn depends on what each batch brought, so not the rest
        return
    corrected = ingested(one_by_one, ("1.csv", CORRECTED))
    from_scratch = tmp_path / "from scratch"
    fresh = ingested(from_scratch, *(ARRIVALS | {"1.csv": CORRECTED}).items())
    assert versions(corrected)["interactions"] == versions(fresh)["interactions"]
    assert tables(one_by_one)["interactions"].equals(tables(from_scratch)["interactions"])


def test_an_implicit_event_that_is_taken_back_takes_what_was_drawn_beside_it(home: Path) -> None:
    run(home, data=inbox(home, ("1.csv", MANY)) | {"feedback": "implicit"})
    before = tables(home)["interactions"]
    data = inbox(home, ("2.csv", TAKEN_BACK)) | {"feedback": "implicit"}
    assert run(home, data=data).success
    after = tables(home)["interactions"]
    gone = before.join(after, on="event_id", how="anti")
    taken_back = gone.filter(schema.OBSERVED)["event_id"]
    assert len(taken_back) == TAKEN_BACK.height
    beside = drawn_ids(taken_back, 1)["event_id"]
    drawn = gone.filter(~schema.OBSERVED)["event_id"]
    assert set(drawn) == set(beside) & set(before["event_id"]) != set()
    kept = before.join(gone, on="event_id", how="anti", maintain_order="left")
    assert kept.equals(after)


def test_clicks_need_no_rating(home: Path) -> None:
    clicks = MANY.drop("rating")
    found = run(home, data=files(home, clicks) | {"feedback": "implicit"})
    assert found.success
    assert [
        check.check_name for check in found.get_asset_check_evaluations() if not check.passed
    ] == []
    rows = tables(home)["interactions"]
    assert rows["liked"].to_list() == rows["rating"].is_not_null().to_list()
    assert recorded(found)["interactions"]["drawn_events"] == rows["rating"].null_count() > 0


def test_a_file_that_says_what_is_known_changes_nothing(home: Path) -> None:
    before = run(home, data=inbox(home, ("1.csv", MANY)))
    after = run(home, data=inbox(home, ("copy.csv", MANY)))
    assert versions(after) == versions(before)
    cached = [name for name, metadata in recorded(after).items() if metadata["cached"]]
    assert set(cached) == recorded(after).keys() - {"events", "quarantine"}


def test_a_file_that_went_leaves_its_events_and_takes_its_quarantine(home: Path) -> None:
    broken = MANY.with_columns(rating=pl.col("rating").cast(pl.Utf8).replace("5", "?"))
    data = inbox(home, ("1.csv", MANY.head(50)), ("2.csv", broken.tail(50)))
    assert recorded(run(home, data={**data, "most_bad_share": 1}))["quarantine"]["rows_left_out"]
    (home / "inbox" / "2.csv").unlink()
    found = recorded(run(home, data={**data, "most_bad_share": 1}))
    assert found["quarantine"]["rows_left_out"] == 0
    assert found["events"]["current_events"] == 90


def test_a_file_that_is_being_written_is_left_for_later(home: Path) -> None:
    data = inbox(home, ("1.csv", MANY.head(50)))
    growing = home / "inbox" / "2.csv"

    def write() -> None:
        with growing.open("w", encoding="utf-8") as stream:
            stream.write("user_id,item_id,rating,timestamp\n")
            while not stop.wait(0.2):
                stream.write("u,a,1,1700000000\n")
                stream.flush()

    stop = threading.Event()
    writer = threading.Thread(target=write)
    writer.start()
    try:
        found = run(home, data=data)
    finally:
        stop.set()
        writer.join()
    assert recorded(found)["events"]["current_events"] == 50


def test_another_source_begins_another_ledger(home: Path) -> None:
    run(home)
    found = recorded(run(home, data=files(home, MANY)))
    assert found["events"]["dagster/row_count"] == 100
    assert found["interactions"]["dagster/row_count"] == 80
