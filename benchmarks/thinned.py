"""`make benchmark-thinned`: the rungs that need no language model, on a second data set.

A quarter of MovieLens 100K, read as anybody's own files are: other column names, no prose. It is
sparser: a user has 27 events instead of 106. Nothing was tuned on it.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import polars as pl

from benchmarks.harness import write_records
from benchmarks.home import Home
from benchmarks.ladder import __main__ as ladder
from benchmarks.tables import update
from curec_assets.core.seeds import derive
from curec_assets.datasets.sources.movielens import MovieLensSource
from curec_assets.definitions import default_resources

_SHARE = 0.25
_PROFILE = "benchmarks/thinned.toml"


def main() -> None:
    """Write the files, measure, keep the figures, renew the page."""
    options = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    options.add_argument("--home", type=Path, default=Path(".curec/thinned"))
    home = options.parse_args().home
    source = MovieLensSource(default_resources("benchmark", home.resolve())["downloads"])
    write_files(source, home / "files")
    ladder.materialise(_PROFILE, home, everything=False)
    command = "make benchmark-thinned"
    found = ladder.measure(
        Home.open(home, profile=_PROFILE),
        [ladder.NUMBERS],
        images=home / "files",
        commands=(command, command),
    )
    # The aims are for the whole of MovieLens.
    write_records(ladder.THINNED, [replace(record, target=None) for record in found])
    update(ladder.PAGE, (ladder.FIGURES, ladder.THINNED))


def write_files(source: MovieLensSource, folder: Path) -> None:
    """`interactions.csv` and `items.csv`, as the profile names them."""
    folder.mkdir(parents=True, exist_ok=True)
    events = pl.concat([source.interactions(file) for file in source.files()])
    events.sample(fraction=_SHARE, seed=derive(1, "thinned") % 2**32).select(
        member="user_id", film="item_id", seen="timestamp", stars="rating"
    ).write_csv(folder / "interactions.csv")
    items = items_with_attributes(source.items())
    items.rename({"item_id": "film"}).write_csv(folder / "items.csv")


def items_with_attributes(items: pl.DataFrame) -> pl.DataFrame:
    """`schema.RAW_ITEMS` as somebody's own file: a column for each kind of attribute."""
    by_kind = (
        items.select("item_id", "attributes")
        .explode("attributes")
        .unnest("attributes")
        .drop_nulls("kind")
        .group_by("item_id", "kind")
        .agg(pl.col("value").str.join("|"))
        .pivot("kind", index="item_id", values="value")
    )
    return items.select("item_id", "title", "year").join(
        by_kind, on="item_id", how="left", maintain_order="left"
    )


if __name__ == "__main__":
    main()
