"""The two stages together: the retriever proposes, the networks order what it proposed."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl
import torch

from curec_assets.recommender.dataset import Examples, ItemTable, candidate_examples
from curec_assets.recommender.din import DIN
from curec_assets.recommender.ranker import SERVED, Ranker
from curec_assets.recommender.training import score
from curec_assets.retrieval.candidates import Proposals, propose
from curec_assets.retrieval.item_scorers import ItemScorers


@dataclass(frozen=True)
class Proposed:
    """What the retriever proposes for some queries, as the networks read it."""

    proposals: Proposals
    examples: Examples
    """All proposals, query by query."""
    item_table: ItemTable

    @classmethod
    def make(
        cls,
        queries: pl.DataFrame,
        histories: pl.DataFrame,
        retrievers: ItemScorers,
        ranker: Ranker,
        *,
        log: pl.DataFrame,
        items: pl.DataFrame,
        item_embeddings: pl.DataFrame,
        candidates: int,
    ) -> "Proposed":
        """`queries` (`user_id, timestamp`) and `histories` (lists) have the same rows.

        `log`: all events known; only those before a query's time are used for it.
        """
        proposals = propose(retrievers, log, queries, candidates)
        item_table = ranker.item_table(item_embeddings)
        rows = np.repeat(np.arange(queries.height), proposals.items.shape[1])
        names = pl.Series(retrievers.item_ids, dtype=pl.String)
        asked = queries.select("user_id", "timestamp")[rows].with_columns(
            history=pl.Series(rows), item_id=names.gather(proposals.items.ravel())
        )
        examples = candidate_examples(
            asked,
            log,
            items,
            histories.with_columns(timestamp=queries["timestamp"]),
            item_table,
            ranker.form,
        )
        return cls(proposals, examples, item_table)

    def probabilities(self, network: DIN, device: str = "cpu") -> npt.NDArray[np.floating]:
        """(queries x candidates,) of one network, query by query."""
        rows = torch.arange(len(self.examples))
        return score(network.to(device), self.examples, self.item_table, rows, device)

    def served_probabilities(self, ranker: Ranker, device: str = "cpu") -> npt.NDArray[np.float64]:
        """(queries x candidates,) mean over the seeds of the variant that recommends."""
        each = [
            self.probabilities(network, device)
            for (variant, _), network in ranker.networks.items()
            if variant == SERVED
        ]
        return np.mean(each, axis=0, dtype=np.float64)


def combined(
    probabilities: npt.NDArray[np.floating], proposals: Proposals, retriever_weight: float
) -> npt.NDArray[np.float64]:
    """(queries, candidates) what the proposals are ordered by; -inf where there is no proposal.

    Logit of the network's probability + weight x the retriever's score, standardised per query.
    The network knows what is liked among what people chose to rate; the retriever knows what they
    choose (our choice; the weight is chosen on validation).
    """
    clipped = np.clip(probabilities.reshape(proposals.items.shape), 1e-6, 1 - 1e-6)
    valid = np.isfinite(proposals.scores)
    count = np.maximum(valid.sum(axis=1, keepdims=True), 1)
    scores = np.where(valid, proposals.scores, 0.0)
    centred = np.where(valid, scores - scores.sum(axis=1, keepdims=True) / count, 0.0)
    spread = np.sqrt((centred**2).sum(axis=1, keepdims=True) / count)
    standardised = centred / np.where(spread > 0, spread, 1.0)
    total = np.log(clipped / (1 - clipped)) + retriever_weight * standardised
    return np.where(valid, total, -np.inf)
