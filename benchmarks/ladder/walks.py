"""The chronological walk against a walk without correction, and against one in random order.

Each walks the events of the stored reasons again, with the same policy and readers. In random order
a user's times are shuffled by a seed: a note may then be corrected by outcomes that come later,
which no served reason could know. Finished shards are kept, so an interrupted walk goes on.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from benchmarks.home import Home
from curec_assets.core.inputs import completions_folder
from curec_assets.core.seeds import derive
from curec_assets.datasets.histories import histories_of
from curec_assets.explanation.facts import Catalogue, facts_by_event
from curec_assets.explanation.grounding import GroundingChecker
from curec_assets.explanation.notes import usual_like_rate
from curec_assets.reasons.by_round import by_round
from curec_assets.reasons.events import walk_shards
from curec_assets.reasons.schedule import shards_of
from curec_assets.reasons.walk import Walk
from curec_assets.reward.drafting import draft_cuts
from curec_assets.reward.scoring import RewardScorer
from resources.generation.journal import journaled_generator

UNCORRECTED, RANDOM_ORDER = "uncorrected", "random_order"
WALKS = (UNCORRECTED, RANDOM_ORDER)


def walked(home: Home, name: str, resources: Any, workspace: Path) -> pl.DataFrame:
    """The shards of the walk `name` of `WALKS`, as one table.

    `resources`: opened, with `generator_factory`, `text_encoder`, `accelerator`.
    """
    profile = home.profile
    corrects = profile.reasons.model_copy(update={"correction": name != UNCORRECTED})
    policy, reward = home.current("reason_policy"), home.current("reward_model")
    with journaled_generator(
        resources.generator_factory,
        home.base,
        policy.path / "adapter",
        profile.generator_options(),
        workspace=completions_folder(home.models, policy.manifest.data_version),
        identity=policy.manifest.data_version,
    ) as generator:
        walk = Walk(
            generator,
            RewardScorer.load(
                reward, resources.text_encoder, device=resources.accelerator.resolve().device
            ),
            GroundingChecker(profile.explanation.max_words),
            profile.model_copy(update={"reasons": corrects}),
            identity=f"{policy.manifest.data_version} {reward.manifest.data_version}",
            folder=workspace / name,
            level_cuts=draft_cuts(home.warehouse.read("draft_reasons")),
        )
        paths = walk.run(_shards(home, random_order=name == RANDOM_ORDER))
    return pl.concat([pl.read_parquet(path) for path in paths])


def stored_walk(home: Home) -> pl.DataFrame:
    """The walk of `recommendation_reasons`."""
    return home.warehouse.read("recommendation_reasons")


def rounds_of(home: Home, walks: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """One row per walk and group of rounds: `walk`, its name, and the columns of `by_round`.

    `round` is the event's true one in every walk, whatever the order it was walked in.
    """
    true = stored_walk(home).select("event_id", "round")
    outcomes = home.warehouse.read("event_splits", ["event_id", "liked"]).join(true, on="event_id")
    cuts = home.profile.evidence.level_cuts
    return pl.concat(
        pl.DataFrame(by_round(rows.drop("round").join(outcomes, on="event_id"), cuts)).select(
            pl.lit(name).alias("walk"), pl.all()
        )
        for name, rows in walks.items()
    )


def _shards(home: Home, *, random_order: bool) -> Sequence[Sequence[Any]]:
    stored = stored_walk(home)
    splits = home.warehouse.read("event_splits")
    usual = pl.DataFrame(
        list(usual_like_rate(splits).items()),
        schema={"event_id": pl.String, "usual": pl.Float64},
        orient="row",
    )
    columns = ["event_id", "user_id", "item_id", "timestamp", "split", "round"]
    events = (
        stored.select(
            *columns, level=pl.col("evidence_level"), probability=pl.col("evidence_probability")
        )
        .join(splits.select("event_id", "liked"), on="event_id", maintain_order="left")
        .join(usual, on="event_id", maintain_order="left")
    )
    if random_order:
        seed = derive(home.profile.seed, "random order")
        times = events.select("user_id", "round").unique().sort("user_id", "round")
        shuffled = times.with_columns(
            walked=pl.col("round").shuffle(seed).rank("ordinal").over("user_id").cast(pl.Int64) - 1
        )
        events = events.join(shuffled, on=["user_id", "round"], maintain_order="left")
        events = events.with_columns(round=pl.col("walked")).drop("walked")
    steps = events.group_by("user_id", "round").len().sort("user_id", "round")
    sizes = dict(steps.group_by("user_id", maintain_order=True).agg("len").iter_rows())
    shards = shards_of(sizes, home.profile.reasons.events_at_once)
    steps = steps.with_columns(
        shard=pl.Series([shards[u][r] for u, r, _ in steps.rows()], dtype=pl.Int64)
    )
    evidence, items = home.warehouse.read("event_evidence"), home.warehouse.read("items")
    catalogue = Catalogue(items)
    return walk_shards(
        events.join(steps.drop("len"), on=["user_id", "round"]).sort(
            "shard", "user_id", "event_id"
        ),
        histories_of(events, splits, home.profile.data.max_history),
        facts_by_event(events, evidence, catalogue, home.profile.explanation),
        catalogue,
        home.profile.explanation,
    )
