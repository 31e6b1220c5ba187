"""What a run cost: memory of each step, and the file that keeps it."""

import json
import sys
from pathlib import Path

import pytest

from curec_assets.reports.costs import AssetCost, PeakMemory, RunCosts, cost_table, write_costs

_MEGABYTES = 2**20


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells the peak of a step")
def test_each_step_has_a_peak_of_its_own() -> None:
    memory = PeakMemory()
    assert memory.of_each_step
    memory.start_step()
    block = bytearray(300 * _MEGABYTES)
    block[::4096] = b"1" * len(block[::4096])  # touched, so that it is resident
    large = memory.of_step()
    del block
    memory.start_step()
    small = memory.of_step()
    assert large - small > 0.2
    assert memory.of_run() >= large


def test_where_steps_cannot_be_told_apart_the_table_says_so() -> None:
    memory = PeakMemory()
    memory.of_each_step = False
    assert "peak GB so far" in cost_table(RunCosts([], 0.0, memory), 1.0)


def test_a_cached_asset_keeps_the_costs_of_the_run_that_made_it(tmp_path: Path) -> None:
    path = tmp_path / "costs.json"

    def run(*costs: AssetCost, profile: str = "laptop") -> dict[str, float]:
        write_costs(path, RunCosts(costs, 0.0, PeakMemory()), profile, 4.0)
        assets = json.loads(path.read_text(encoding="utf-8"))["assets"]
        return {name: asset["peak_gigabytes"] for name, asset in assets.items()}

    made = AssetCost("items", 3.0, 2.5, cached=False, peak_gigabytes=1.5)
    cached = AssetCost("items", 0.1, 0.0, cached=True, peak_gigabytes=0.2)
    other = AssetCost("histories", 3.0, 2.5, cached=False, peak_gigabytes=0.5)
    assert run(made) == {"items": 1.5}
    assert run(cached, other) == {"items": 1.5, "histories": 0.5}
    assert run(cached, other, profile="smoke") == {"histories": 0.5}
    assert [file.name for file in tmp_path.iterdir()] == ["costs.json"]


def test_the_whole_is_that_of_a_run_that_made_everything(tmp_path: Path) -> None:
    path = tmp_path / "costs.json"
    names = ("items", "histories")

    def seconds(total: float, *cached: str, profile: str = "laptop") -> float | None:
        costs = [
            AssetCost(name, 3.0, 2.5, cached=name in cached, peak_gigabytes=1.5) for name in names
        ]
        write_costs(path, RunCosts(costs, 0.0, PeakMemory()), profile, total)
        whole = json.loads(path.read_text(encoding="utf-8"))["whole"]
        return whole and float(whole["seconds"])

    assert seconds(4.0, "items") is None
    assert seconds(5.0) == 5.0
    assert seconds(6.0, *names) == 5.0, "nothing was made"
    assert seconds(7.0, "items") is None, "one was made anew"
    assert seconds(8.0) == 8.0
    assert seconds(9.0, *names, profile="smoke") is None


@pytest.mark.parametrize("damage", [b'{"profile" ~ 1}', b"", b"\xff"])
def test_a_damaged_file_is_left_out_with_a_warning(
    tmp_path: Path, damage: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "costs.json"
    path.write_bytes(damage)
    made = AssetCost("items", 3.0, 2.5, cached=False, peak_gigabytes=1.5)
    write_costs(path, RunCosts([made], 0.0, PeakMemory()), "laptop", 4.0)
    assert list(json.loads(path.read_text(encoding="utf-8"))["assets"]) == ["items"]
    assert "costs.json is damaged" in caplog.text
