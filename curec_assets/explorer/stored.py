"""What the explorer shows, read from a home once; nothing here knows how a page is made."""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from functools import cached_property
from pathlib import Path
from typing import Any

import polars as pl

from curec_assets.automation.drift import Drift, drift_now
from curec_assets.core.recipe import Recipe
from curec_assets.datasets.interactions import nobody_rates
from curec_assets.datasets.schema import OBSERVED
from curec_assets.explorer.ballot import Ballot, open_ballot
from curec_assets.explorer.made import generation_of, lineage_rows
from curec_assets.serving.compared import Compared, Measures
from curec_assets.serving.now import SHOWN, Explanation, Now
from curec_assets.serving.policy import open_policy
from curec_assets.serving.samples import samples
from curec_assets.serving.writers import Writers
from curec_assets.settings import Profile
from resources.storage.model_store import ModelStore
from resources.storage.warehouse import Warehouse

_MOST_LISTED = 2_000
OUTCOME = pl.when("liked").then(pl.lit("liked")).otherwise(pl.lit("not liked")).alias("outcome")
"""Of an event, in words."""
_CHOOSING = ("evidence_model", "recommender", "recommender_ranking")
_METRICS = ("AUC", "LogLoss", "GAUC", "ECE", "HR@10", "NDCG@10")


class Stored:
    """The tables of one home."""

    def __init__(
        self, resources: Mapping[str, Any], profile: Profile, recipes: Sequence[Recipe]
    ) -> None:
        """`resources`: by role, see `default_resources`. Raises `ArtifactError` where the home is
        not filled yet.
        """
        self._resources = resources
        self._warehouse: Warehouse = resources["warehouse"]
        self._store: ModelStore = resources["model_store"]
        self._recipes = recipes
        self._profile = profile
        self.now = Now(self._warehouse, self._store, profile)
        self._recommended = self._warehouse.read(
            "recommendations", ["user_id", *SHOWN, "policy_fingerprint"]
        )

    @cached_property
    def users(self) -> list[str]:
        """Those who are recommended something first, then others, by id."""
        first = self._recommended["user_id"].unique(maintain_order=True).to_list()
        others = self.now.interactions["user_id"].unique().sort()
        rest = others.filter(~others.is_in(first)).head(_MOST_LISTED - len(first))
        return [*first, *rest.to_list()]

    @cached_property
    def titles(self) -> Mapping[str, str]:
        """Title → item id, those with most events first."""
        counts = self.now.interactions.filter(OBSERVED).group_by("item_id").len()
        rows = self.now.items.join(counts, on="item_id").sort(
            ["len", "title"], descending=[True, False]
        )
        return dict(rows.select("title", "item_id").head(_MOST_LISTED).iter_rows())

    def history(self, user: str) -> pl.DataFrame:
        """When (UTC), title, rating, liked and item id of what a user met, the oldest first."""
        return (
            self.now.interactions.filter(OBSERVED, user_id=user)
            .sort("timestamp", "event_id")
            .join(self.now.items.select("item_id", "title"), on="item_id", maintain_order="left")
            .select(pl.from_epoch("timestamp").alias("when"), "title", "rating", "liked", "item_id")
        )

    def recommended(self, user: str) -> pl.DataFrame:
        """`serving.now.SHOWN` of a user; empty for whom the table does not have."""
        return self._recommended.filter(user_id=user).sort("rank").select(SHOWN)

    def notes(self, user: str) -> pl.DataFrame:
        """When (UTC) a note about the user was corrected, and to what."""
        return (
            self._reasons.filter(user_id=user)
            .sort("timestamp")
            .filter(pl.col("note") != pl.col("note").shift(fill_value=""))
            .select(pl.from_epoch("timestamp").alias("when"), "note")
        )

    def explained(
        self, user: str, item_id: str, left_out: Sequence[str] = (), *, by_policy: bool = False
    ) -> list[Explanation]:
        """Why; and why, if `left_out` had not been met.

        `by_policy`: it writes the reasons, for which it is loaded; raises `CurecError` where it
        cannot be.
        """
        each = [self.now, *([self.now.without(user, left_out)] if left_out else [])]
        with open_policy(self._profile, self._resources) if by_policy else nullcontext() as writer:
            return [known.explained(user, item_id, writer) for known in each]

    def made_by(self, user: str) -> pl.DataFrame:
        """What made the user's recommendations, and what else they rest on; see `lineage`."""
        of_user = self._recommended.filter(user_id=user)
        policies = of_user["policy_fingerprint"].unique(maintain_order=True)
        table = self._warehouse.existing_manifest("recommendations")
        chosen = [self._store.current(name).manifest for name in _CHOOSING]
        wrote = [each for policy in policies for each in generation_of(policy, self._store)]
        return lineage_rows([table, *chosen, *wrote]).unique(maintain_order=True)

    def item(self, item_id: str) -> Mapping[str, object]:
        """Row of `items`."""
        return self.now.items.row(by_predicate=pl.col("item_id") == item_id, named=True)

    @cached_property
    def rated(self) -> bool:
        """Whether people say what they think of things; else they are known to have taken them."""
        return not nobody_rates(self.now.interactions)

    def times_of(self, item_id: str) -> pl.DataFrame:
        """When (UTC): the events of an item."""
        found = self.now.interactions.filter(OBSERVED, item_id=item_id)
        return found.select(when=pl.from_epoch("timestamp"))

    def people_of(self, item_id: str) -> pl.DataFrame:
        """user, when (UTC), and rating and outcome where people rate: the latest first."""
        found = self.now.interactions.filter(OBSERVED, item_id=item_id)
        said = ("rating", OUTCOME) if self.rated else ()
        return found.sort("timestamp", "event_id", descending=[True, False]).select(
            pl.col("user_id").alias("user"), pl.from_epoch("timestamp").alias("when"), *said
        )

    def ratings_of(self, item_id: str) -> pl.DataFrame:
        """rating, events: how often an item was rated so."""
        found = self.now.interactions.filter(OBSERVED, item_id=item_id)
        return found.group_by("rating").agg(events=pl.len()).sort("rating")

    def reasons_about(self, item_id: str) -> pl.DataFrame:
        """level, reason, source of what was written about an item, to different people."""
        return self._reasons.filter(item_id=item_id).select("level", "reason", "source")

    @cached_property
    def _reasons(self) -> pl.DataFrame:
        return self._warehouse.read("recommendation_reasons")

    def evaluation(self, events: str = "all") -> pl.DataFrame:
        """recommender, metric, value, low, high on test `events`, one of `protocol.SLICES`."""
        shown = (pl.col("slice") == events) & pl.col("metric").is_in(_METRICS)
        return (
            self._evaluation.filter(shown)
            .drop_nulls("value")
            .select("recommender", "metric", "value", "low", "high")
        )

    @cached_property
    def _evaluation(self) -> pl.DataFrame:
        return self._warehouse.read("recommender_evaluation")

    @cached_property
    def measures(self) -> pl.DataFrame:
        """measure, value, low, high, meaning: how good the stored reasons are."""
        from curec_assets.evaluation.reason_quality import reason_quality

        measured = reason_quality(
            self._reasons,
            self._warehouse.read("event_splits", ["event_id", "liked"]),
            level_cuts=self._profile.evidence.level_cuts,
            samples=self._profile.recommender.bootstrap_samples,
            seed=self._profile.seed,
        )
        intervals = [each.interval for each in measured]
        return pl.DataFrame(
            {
                "measure": [each.name for each in measured],
                "value": [each.value for each in intervals],
                "low": [each.low for each in intervals],
                "high": [each.high for each in intervals],
                "meaning": [each.meaning for each in measured],
            }
        )

    @cached_property
    def samples(self) -> pl.DataFrame:
        """percentile, reward, level, outcome, reason of some of them."""
        events = self._warehouse.read("event_splits", ["event_id", "liked"])
        shown = ("percentile", "reward", "level", "outcome", "reason")
        reasons = self._reasons.join(events, on="event_id").with_columns(outcome=OUTCOME)
        return samples(reasons).select(shown)

    @cached_property
    def drift(self) -> Drift | None:
        """How new events differ from the snapshot's; None where there is no new event."""
        return drift_now(self._warehouse, self._store, self._profile.drift.least_events)

    @cached_property
    def reliability(self) -> pl.DataFrame:
        """model, predicted, observed, events of ten bins of the validation events."""
        found = {
            "evidence model": self._metrics("evidence_model")["reliability"]["validation"],
            "recommender": self._metrics("recommender")["reliability"],
        }
        return pl.concat(
            pl.DataFrame(bins).with_columns(model=pl.lit(name)) for name, bins in found.items()
        )

    @cached_property
    def rewards(self) -> pl.DataFrame:
        """step, reward of reinforcement learning."""
        curve = self._metrics("reason_policy")["reward"]
        return pl.DataFrame({"step": range(1, len(curve) + 1), "reward": curve})

    @cached_property
    def quarantine(self) -> pl.DataFrame:
        """Cells for which rows were left out."""
        return self._warehouse.read("quarantine")

    @cached_property
    def lineage(self) -> pl.DataFrame:
        """Every asset as it is stored, see `lineage_rows`."""
        tables = {each.asset: each for each in self._warehouse.manifests()}
        manifests = [
            tables.get(recipe.name)
            if recipe.writes == "table"
            else self._store.current(recipe.name).manifest
            for recipe in self._recipes
        ]
        return lineage_rows([each for each in manifests if each])

    def writers(self) -> Writers:
        """Whose reasons there are now."""
        with self._warehouse.reading():  # while one is open, others open in no time
            return Writers(self._warehouse, self._store, self._profile)

    def compared(self, a: str, b: str) -> tuple[Compared, Measures]:
        """Two of them side by side. Raises `ConfigError` where they share no event."""
        found = Compared.of(self.writers(), self._warehouse, a, b)
        samples, seed = self._profile.recommender.bootstrap_samples, self._profile.seed
        return found, found.measures(samples, seed)

    def different(self, compared: Compared, count: int) -> list[dict[str, Any]]:
        """Rows of it whose texts differ, by a seeded hash."""
        return compared.different(count, self._profile.seed)

    def ballot(self, a: str, b: str) -> Ballot:
        """Pairs of two writers to vote on. Raises `CurecError` where they cannot be compared, or
        the votes that are there cannot be read.
        """
        home = Path(self._store.root).parent
        return open_ballot(home, self._warehouse, self.writers(), a, b, self._profile.seed)

    def _metrics(self, asset: str) -> Mapping[str, Any]:
        return self._store.current(asset).manifest.metrics
