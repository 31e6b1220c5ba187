"""`Ranker`: the trained networks of every variant and seed, and what they need to be used."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt
import polars as pl
from safetensors.torch import load_file, save_file

from curec_assets.recommender.dataset import Catalogue, Examples, RatingScale, candidate_examples
from curec_assets.recommender.din import DIN, DINConfig, Variant
from curec_assets.recommender.training import score
from curec_assets.retrieval.candidates import Proposals
from resources.errors import ArtifactError

SERVED: Variant = "id_text_reason"
"""The variant that recommends; its seeds are averaged."""


@dataclass(frozen=True)
class Ranker:
    """Networks by (variant, seed number), and the vocabulary that they share."""

    networks: Mapping[tuple[Variant, int], DIN]
    trained_items: tuple[str, ...]
    """Items with an id embedding; position p has index p + 1."""
    scale: RatingScale
    length: int
    """History events read."""
    retriever_weight: float
    """Weight of the retriever's standardised score beside the ranker's logit."""

    def save(self, folder: Path) -> None:
        """Write one safetensors file per network and `recommender.json`."""
        for (variant, seed), network in self.networks.items():
            weights = {name: t.contiguous() for name, t in network.cpu().state_dict().items()}
            save_file(weights, folder / f"{variant}-{seed}.safetensors")
        values = {
            "networks": [
                {"seed": seed, "config": asdict(network.config)}
                for (_, seed), network in self.networks.items()
            ],
            "trained_items": self.trained_items,
            "scale": asdict(self.scale),
            "length": self.length,
            "retriever_weight": self.retriever_weight,
        }
        (folder / "recommender.json").write_text(json.dumps(values), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The inverse of `save`. Raises `ArtifactError` when the files do not fit together."""
        try:
            values = json.loads((folder / "recommender.json").read_text(encoding="utf-8"))
            networks: dict[tuple[Variant, int], DIN] = {}
            for stored in values["networks"]:
                network = DIN(DINConfig(**stored["config"]))
                name = f"{network.config.variant}-{stored['seed']}.safetensors"
                network.load_state_dict(load_file(folder / name))
                networks[network.config.variant, stored["seed"]] = network.eval()
            return cls(
                networks,
                tuple(values["trained_items"]),
                RatingScale(**values["scale"]),
                values["length"],
                values["retriever_weight"],
            )
        except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
            raise ArtifactError(
                f"the recommender in {folder} cannot be read ({error!r}); move the folder away and "
                "materialise the asset 'recommender' again"
            ) from error

    def catalogue(self, item_embeddings: pl.DataFrame) -> Catalogue:
        """The catalogue as these networks know it. Raises `ArtifactError` for another encoder."""
        catalogue = Catalogue.make(item_embeddings, self.trained_items)
        expected = next(iter(self.networks.values())).config.text_dim
        if catalogue.texts.shape[1] != expected:
            raise ArtifactError(
                f"item_embeddings have {catalogue.texts.shape[1]} dimensions, but the recommender "
                f"was trained on {expected}; materialise the asset 'recommender' again"
            )
        return catalogue

    def probabilities(
        self, examples: Examples, catalogue: Catalogue, device: str = "cpu"
    ) -> npt.NDArray[np.float64]:
        """(queries,) mean probability over the seeds of the served variant."""
        import torch

        rows = torch.arange(len(examples))
        each = [
            score(network.to(device), examples, catalogue, rows, device)
            for (variant, _), network in self.networks.items()
            if variant == SERVED
        ]
        return np.mean(each, axis=0, dtype=np.float64)


def proposal_examples(
    proposals: Proposals,
    queries: pl.DataFrame,
    *,
    item_ids: tuple[str, ...],
    log: pl.DataFrame,
    items: pl.DataFrame,
    histories: pl.DataFrame,
    catalogue: Catalogue,
    length: int,
    scale: RatingScale,
) -> Examples:
    """All proposals as examples, query by query; `item_ids` is the retriever's catalogue.

    `queries` (`user_id, timestamp`) and `histories` (lists) have one row per row of `proposals`.
    """
    width = proposals.items.shape[1]
    names = pl.Series(item_ids, dtype=pl.String)
    rows = np.repeat(np.arange(queries.height), width)
    asked = queries.select("user_id", "timestamp")[rows].with_columns(
        history=pl.Series(rows), item_id=names.gather(proposals.items.ravel())
    )
    return candidate_examples(
        asked,
        log,
        items,
        histories.with_columns(timestamp=queries["timestamp"]),
        catalogue,
        length=length,
        scale=scale,
    )


def combined(
    probabilities: npt.NDArray[np.floating], proposals: Proposals, retriever_weight: float
) -> npt.NDArray[np.float64]:
    """(queries, candidates) what the proposals are ordered by; -inf where there is no proposal.

    Logit of the ranker's probability + weight x the retriever's score, standardised per query.
    The ranker knows what is liked among what people chose to rate; the retriever knows what they
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
