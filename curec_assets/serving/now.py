"""All that is known now and the models that serve, loaded once and asked often.

The same code as in the asset `recommendations`: what is asked here for a user whom that table has
is what the table says, but for the words, which are the composer's unless a writer is given.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import polars as pl

from curec_assets.core.inputs import fits_folder
from curec_assets.core.seeds import derive
from curec_assets.evidence.schema import GROUPS
from curec_assets.explanation.facts import Catalogue, Facts
from curec_assets.explanation.grounding import GroundingChecker
from curec_assets.explanation.writing import ReasonRequest, WrittenReason, composed
from curec_assets.reasons.judged import requests_for, with_reasons
from curec_assets.reasons.rows import reason_rows
from curec_assets.recommender.recommend import recommend
from curec_assets.recommender.shown_reasons import judged_now, notes_now
from curec_assets.reward.drafting import draft_cuts
from curec_assets.settings import Profile
from resources.errors import ConfigError
from resources.generation.protocol import TextGenerator
from resources.storage.model_store import ModelStore
from resources.storage.warehouse import Warehouse

if TYPE_CHECKING:
    from curec_assets.evidence.model import EvidenceModel
    from curec_assets.evidence.numbers import EvidenceNumbers

SHOWN = ("rank", "item_id", "title", "score", "level", "reason", "facts", "source")
"""Columns of a recommendation, wherever it was made."""


@dataclass(frozen=True)
class Explanation:
    """What the evidence says of one user and one item now."""

    item_id: str
    facts: Facts
    """With the numbers behind each."""
    probability: float
    """Of a like, by the evidence model."""
    contributions: Mapping[str, float]
    """Kind of fact → log-odds; with the model's base they add up to the score."""
    level: int
    """That the reason says."""
    reason: str
    source: str
    """Who wrote it: `policy` or `composer`."""


class Now:
    """What is stored, as of one second after the latest event."""

    def __init__(
        self,
        warehouse: Warehouse,
        store: ModelStore,
        profile: Profile,
        interactions: pl.DataFrame | None = None,
    ) -> None:
        """`profile`: the one that the home was made with. `interactions`: what is taken to have
        happened, in the place of what has.
        """
        self._warehouse = warehouse
        self._store = store
        self._profile = profile
        self._supposed = interactions

    @cached_property
    def interactions(self) -> pl.DataFrame:
        """All events."""
        if self._supposed is not None:
            return self._supposed
        return self._warehouse.read("interactions")

    def without(self, user: str, item_ids: Sequence[str]) -> "Now":
        """As it would be if the user had not met these items."""
        left_out = (pl.col("user_id") == user) & pl.col("item_id").is_in(list(item_ids))
        rest = self.interactions.filter(~left_out)
        return Now(self._warehouse, self._store, self._profile, rest)

    @cached_property
    def items(self) -> pl.DataFrame:
        """The catalogue as a table, and"""
        return self._warehouse.read("items")

    @cached_property
    def catalogue(self) -> Catalogue:
        """As prompts name it."""
        return Catalogue(self.items)

    @cached_property
    def _embeddings(self) -> pl.DataFrame:
        return self._warehouse.read("item_embeddings")

    @cached_property
    def _numbers(self) -> "EvidenceNumbers":
        from curec_assets.evidence.numbers import EvidenceNumbers

        return EvidenceNumbers(
            self.interactions,
            self.items,
            self._embeddings,
            self._profile.evidence,
            self._profile.seed,
            fits=fits_folder(self._store) if self._supposed is None else None,
        )

    @cached_property
    def _evidence_model(self) -> "EvidenceModel":
        from curec_assets.evidence.crossfit import load_final

        return load_final(self._store.current("evidence_model").path)

    def require_user(self, user: str) -> None:
        """Raises `ConfigError` for somebody without an event."""
        known = self.interactions["user_id"]
        if not known.eq(user).any():
            raise ConfigError(
                f"user {user!r} has no event in this home; expected the id of one of its "
                f"{known.n_unique()} users, as it is in your file"
            )

    def item_named(self, text: str) -> str:
        """The id of an item, given as its id or its title. Raises `ConfigError` where it is neither
        of them.
        """
        if text in self.catalogue:
            return text
        title = pl.col("title").str.to_lowercase()
        exact = self.items.filter(title == text.lower())
        if exact.height == 1:
            return str(exact["item_id"].item())
        alike = self.items.filter(title.str.contains(text.lower(), literal=True))["title"]
        some = ", ".join(repr(each) for each in alike.sort().head(5))
        raise ConfigError(
            f"no item has the id or the title {text!r}"
            + (f"; titles with it: {some}" if some else "; expected one of `items`")
        )

    def recommended(
        self, user: str, top_k: int, writer: TextGenerator | None = None
    ) -> pl.DataFrame:
        """`SHOWN`: the best unseen items of a user, each with a reason."""
        from curec_assets.recommender.served import Known, Served

        chosen = self._profile.recommender
        self.require_user(user)
        served = Served.load(self._store.current("recommender").path, self._evidence_model)
        known = Known(self.interactions, self.items, self._embeddings, self._numbers)
        shown = recommend(
            [user],
            interactions=self.interactions,
            items=self.items,
            item_embeddings=self._embeddings,
            ranking_folder=self._store.current("recommender_ranking").path,
            top_k=top_k,
            considered=chosen.considered,
            least_probability=chosen.least_probability,
            probabilities=lambda rows: served.probabilities(rows, known),
        )
        return self._with_reasons(shown, self._judged(shown), writer).select(SHOWN)

    def stored(self, user: str) -> pl.DataFrame:
        """`SHOWN` of the table `recommendations`; empty for whom it does not have."""
        rows = self._warehouse.matching("recommendations", pl.DataFrame({"user_id": [user]}))
        return rows.sort("rank").select(SHOWN)

    def explained(
        self, user: str, item_id: str, writer: TextGenerator | None = None
    ) -> Explanation:
        """Why the item would be liked, or not, whether it was met already or not.

        `writer`: of the reason; without one it is the composer's.
        """
        self.require_user(user)
        rows = pl.DataFrame({"user_id": [user], "item_id": [item_id]})
        evidence = self._judged(rows)
        [request] = self._requests(rows, evidence)
        [worded] = self._with_reasons(rows, evidence, writer).iter_rows(named=True)
        read = self._numbers.read(rows.with_columns(timestamp=evidence["timestamp"]))
        contributions = self._evidence_model.contributions(read)[0].tolist()
        return Explanation(
            item_id=item_id,
            facts=request.facts,
            probability=evidence["probability"].item(),
            contributions=dict(zip(GROUPS, contributions, strict=True)),
            **{name: worded[name] for name in ("level", "reason", "source")},
        )

    def _judged(self, rows: pl.DataFrame) -> pl.DataFrame:
        return judged_now(
            rows, self.interactions, self._numbers, self._evidence_model, self._profile.evidence
        )

    def _with_reasons(
        self, shown: pl.DataFrame, evidence: pl.DataFrame, writer: TextGenerator | None
    ) -> pl.DataFrame:
        if writer is not None:
            return with_reasons(
                shown,
                evidence,
                self._notes(shown["user_id"]),
                writer,
                self.catalogue,
                self._profile,
                self._store.current("reason_policy").manifest.fingerprint,
                draft_cuts(self._warehouse.read("draft_reasons")),
            )
        requests = self._requests(shown, evidence)
        written = [self._composed(request) for request in requests]
        rows = reason_rows(written, [request.facts for request in requests])
        titles = pl.Series("title", [request.facts.title for request in requests], dtype=pl.String)
        return pl.concat([shown, titles.to_frame(), rows], how="horizontal")

    def _requests(self, rows: pl.DataFrame, evidence: pl.DataFrame) -> list[ReasonRequest]:
        notes = self._notes(rows["user_id"])
        return requests_for(rows, evidence, notes, self.catalogue, self._profile)

    def _notes(self, users: pl.Series) -> Sequence[str]:
        stored = self._warehouse.read(
            "recommendation_reasons", ["event_id", "user_id", "timestamp", "note"]
        )
        notes = notes_now(users.unique(), self.interactions, stored, self.catalogue, self._profile)
        return [notes[user] for user in users]

    def _composed(self, request: ReasonRequest) -> WrittenReason:
        checker = GroundingChecker(self._profile.explanation.max_words)
        return composed(request, checker, derive(self._profile.seed, "recommendations"))
