"""Reading what the model artifacts of this stage hold, and whether they belong together."""

from collections.abc import Mapping
from pathlib import Path

import polars as pl

from resources.errors import ArtifactError
from resources.storage.manifest import Manifest


def held_out_outputs(
    baseline_folder: Path, recommender_folder: Path, ranking_folder: Path, split: str = "test"
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Predictions and ranks of all recommenders on `split`.

    Columns: `event_id, recommender, seed` and `probability`, or `rank`.
    """

    def both(name: str, value: str, trained_folder: Path) -> pl.DataFrame:
        columns = ["event_id", "recommender", "seed", value]
        baselines = pl.read_parquet(baseline_folder / name).with_columns(
            seed=pl.lit(0, dtype=pl.Int64)
        )
        trained = pl.read_parquet(trained_folder / name).rename({"variant": "recommender"})
        return pl.concat(
            frame.filter(pl.col("split") == split).select(columns) for frame in (baselines, trained)
        )

    return (
        both("predictions.parquet", "probability", recommender_folder),
        both("ranks.parquet", "rank", ranking_folder),
    )


def require_made_from(manifest: Manifest, current: Mapping[str, str]) -> None:
    """Refuse an artifact that was made from other inputs than the `current` ones.

    `current`: name → data version of what it must have read. Raises `ArtifactError`.
    """
    for name, version in current.items():
        found = manifest.inputs.get(name)
        if found != version:
            raise ArtifactError(
                f"{manifest.asset!r} {manifest.fingerprint} was made from {name!r} {found}, but "
                f"the current one is {version}; materialise {manifest.asset!r} again"
            )
