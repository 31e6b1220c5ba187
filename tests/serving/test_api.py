"""The read API as a process of its own, under load, beside a run that writes; and exports."""

import json
import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import polars as pl
import pytest

from benchmarks.chaos.home import Home
from curec_assets.cli.app import main
from curec_assets.definitions import default_resources
from resources.storage.warehouse import Warehouse
from tests.support.api_server import serving

pytestmark = [pytest.mark.graph, pytest.mark.timeout(600)]


@pytest.fixture
def warehouse(filled_home: Home) -> Warehouse:
    found: Warehouse = default_resources("smoke", filled_home.path)["warehouse"]
    return found


def test_it_serves_what_is_stored_under_load_while_a_run_writes(
    filled_home: Home, warehouse: Warehouse
) -> None:
    table = warehouse.read("recommendations").sort("user_id", "rank")
    user = table["user_id"][0]
    of_user = table.filter(user_id=user)
    path = f"/recommend/{quote(user)}"
    with serving(filled_home) as server:
        status, found = server.get(path)
        assert status == 200
        assert [each["reason"] for each in found["items"]] == of_user["reason"].to_list()
        assert len(server.get(f"{path}?top=1")[1]["items"]) == 1
        assert server.get("/recommend/nobody")[0] == 404
        assert server.get(f"{path}?top=0")[0] == 422
        item = of_user["item_id"][0]
        status, explained = server.get(f"/explain/{quote(user)}/{quote(item)}")
        assert (status, explained["reason"]) == (200, of_user["reason"][0])
        assert server.get(f"/explain/{quote(user)}/nothing")[0] == 404
        assert set(server.get("/openapi.json")[1]["paths"]) == {
            "/health",
            "/recommend/{user_id}",
            "/explain/{user_id}/{item_id}",
        }

        manifest = warehouse.existing_manifest("recommendations")
        written: list[float] = []

        def write() -> None:
            for number in range(3):
                began = time.monotonic()
                rows = table.with_columns(reason=pl.lit(f"Reason {number}."))
                version = {"data_version": f"version {number}"}
                warehouse.write("recommendations", rows, manifest.model_copy(update=version))
                written.append(time.monotonic() - began)

        run = threading.Thread(target=write)
        run.start()
        took = server.milliseconds(path, seconds=3, clients=4)
        run.join()
        assert len(written) == 3 and max(written) < 30
        assert len(took) / 3 >= 200
        assert took[int(len(took) * 0.99)] <= 50
        deadline = time.monotonic() + 30
        while server.get("/health")[1]["data_version"] != "version 2":
            assert time.monotonic() < deadline
            time.sleep(0.2)
        assert server.get(path)[1]["items"][0]["reason"] == "Reason 2."
    said = server.log.read_text("utf-8")
    assert "Finished server process" in said
    assert user not in said


def test_recommendations_are_the_same_in_every_form(
    filled_home: Home, warehouse: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUREC_HOME", str(filled_home.path))
    table = warehouse.read("recommendations").sort("user_id", "rank")
    facts = [json.dumps(cell) for cell in table["facts"].to_list()]
    for form in ("parquet", "jsonl", "csv", "sqlite"):
        file = tmp_path / f"out.{form}"
        assert main(["export", "recommendations", str(file), "--to", form]) == 0
        assert main(["export", "recommendations", str(file), "--to", form]) == 1
        if form == "parquet":
            assert pl.read_parquet(file).equals(table)
        elif form == "jsonl":
            rows = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
            assert [row["reason"] for row in rows] == table["reason"].to_list()
            assert [json.dumps(row["facts"]) for row in rows] == facts
        else:
            if form == "csv":
                found = pl.read_csv(file)
            else:
                with closing(sqlite3.connect(file)) as connection:
                    found = pl.read_database("SELECT * FROM recommendations", connection)
            assert found["reason"].to_list() == table["reason"].to_list()
            assert [json.dumps(json.loads(cell)) for cell in found["facts"]] == facts
