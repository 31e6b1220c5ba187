"""A user is forgotten: nothing knows the user, nobody else loses anything, no file undoes it."""

from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from curec_assets.datasets.sources.toy import ToySource
from curec_assets.definitions import build_definitions, default_resources
from curec_assets.lifecycle.traces import traces
from tests.support.reading import all_rows

pytestmark = [pytest.mark.graph, pytest.mark.timeout(600)]

USER = "viewer-7-zanzibar"
PROFILE = """
extends = "smoke"

[data]
source = "files"
interactions_path = "inbox"
items_path = "items.csv"
"""


def events() -> pl.DataFrame:
    rows = all_rows(ToySource(3)).select("user_id", "item_id", "rating", "timestamp")
    busiest = rows["user_id"].mode()[0]
    return rows.with_columns(pl.col("user_id").replace(busiest, USER))


class Home:
    """A home on files of its own, with Dagster's records beside it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.profile = folder / "own.toml"
        self.profile.write_text(PROFILE, encoding="utf-8")
        items = ToySource(3).items().select("item_id", "title", "year")
        items.write_csv(folder / "items.csv")
        resources = default_resources(str(self.profile), folder / "home")
        self.warehouse, self.store = resources["warehouse"], resources["model_store"]
        self.definitions = build_definitions(profile=str(self.profile), home=folder / "home")
        self.dagster = folder / "dagster"
        self.dagster.mkdir()
        (self.dagster / "dagster.yaml").touch()
        self.inbox = folder / "inbox"
        self.inbox.mkdir()

    def run(self, rows: pl.DataFrame, *assets: str) -> None:
        """Read a file; make some assets, or all."""
        rows.write_csv(self.inbox / "interactions.csv")
        with dg.DagsterInstance.local_temp(str(self.dagster)) as instance:
            result = self.definitions.resolve_job_def("everything").execute_in_process(
                instance=instance,
                asset_selection=[dg.AssetKey(name) for name in assets] or None,
                raise_on_error=False,
            )
        assert result.success

    def forget(self) -> list[str]:
        """By a request in the inbox; what the run says."""
        (self.inbox / "by mail.forget").write_text(f"{USER}\n\n", encoding="utf-8")
        with dg.DagsterInstance.local_temp(str(self.dagster)) as instance:
            job = self.definitions.resolve_job_def("forget_users")
            result = job.execute_in_process(instance=instance, raise_on_error=False)
            logs = instance.all_logs(result.run_id)
        said = [entry.user_message for entry in logs if not entry.is_dagster_event]
        assert result.success, said
        return said

    def versions(self, *tables: str) -> dict[str, str]:
        return {name: self.warehouse.data_version(name) for name in tables}

    def completions(self) -> set[bytes]:
        files = (self.folder / "home" / "models").glob("*/.*.kept/completions.jsonl*")
        return {line for file in files for line in file.read_bytes().splitlines()}


@pytest.mark.fault("a user is forgotten, and files bring the user back")
def test_a_forgotten_user_leaves_no_trace_and_does_not_come_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = Home(tmp_path)
    monkeypatch.setenv("DAGSTER_HOME", str(home.dagster))
    home.run(events())
    items = events().filter(user_id=USER).sort("timestamp")["item_id"].to_list()
    reasons = home.warehouse.read("recommendation_reasons").filter(pl.col("user_id") != USER)
    written = home.completions()
    before = traces(USER, items, home.warehouse, home.store, home.dagster)
    assert len(before) > 5

    said = home.forget()

    assert traces(USER, items, home.warehouse, home.store, home.dagster) == []
    assert [file.name for file in home.inbox.iterdir()] == ["interactions.csv"]
    assert USER.encode() not in (tmp_path / "home" / "warehouse.duckdb").read_bytes()
    assert "reason_policy" in said[-1] and "recommender" not in said[-1]  # the fast lane refits it
    assert written - home.completions()
    assert not list((tmp_path / "home" / "models").rglob("*.earlier"))
    columns = ["event_id", "reason", "level"]
    after = home.warehouse.read("recommendation_reasons", columns)
    assert after.sort(columns).equals(reasons.select(columns).sort(columns))

    without = events().filter(pl.col("user_id") != USER)
    (tmp_path / "never there").mkdir()
    never = Home(tmp_path / "never there")
    never.run(without, "events", "raw_items", "items", "interactions")
    assert home.versions("interactions") == never.versions("interactions")

    stranger = events().head(1).with_columns(user_id=pl.lit("new"))
    home.run(pl.concat([events(), stranger]), "events", "interactions")
    known = home.warehouse.read("interactions")
    assert known.height == without.height + 1
    assert USER not in known["user_id"]
