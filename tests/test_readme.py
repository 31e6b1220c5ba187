"""What the README says: short enough to be read, and true."""

import re
from pathlib import Path

import polars as pl

from curec_assets.settings import load_profile

REPOSITORY = Path(__file__).parents[1]
README = (REPOSITORY / "README.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    (found,) = re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)
    return str(found)


def test_it_is_read_in_three_minutes() -> None:
    assert len(README.split()) <= 900


def test_the_example_runs() -> None:
    names: dict[str, object] = {}
    exec(block("python"), names)
    predictions = names["predictions"]
    assert isinstance(predictions, pl.DataFrame)
    assert set(predictions["recommender"]) == {"item_mean", "running_statistics"}
    assert predictions["probability"].is_between(0, 1).all()


def test_the_profile_for_own_data_is_one(tmp_path: Path) -> None:
    (tmp_path / "my.toml").write_text(block("toml"), encoding="utf-8")
    assert load_profile(str(tmp_path / "my.toml")).data.user_column == "reviewer"


def test_every_link_of_the_documentation_leads_somewhere() -> None:
    for page in (REPOSITORY / "README.md", *(REPOSITORY / "docs").glob("*.md")):
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8")):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name}: {target}"
