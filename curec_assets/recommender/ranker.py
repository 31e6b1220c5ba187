"""`Ranker`: the trained networks of every variant and seed, and what they need to be used."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

import polars as pl
from safetensors.torch import load_file, save_file

from curec_assets.recommender.dataset import ExampleForm, ItemTable, RatingScale
from curec_assets.recommender.din import DIN, DINConfig, Variant
from curec_assets.recommender.statistics import Smoothing
from resources.errors import ArtifactError

SERVED: Variant = "id_text"
"""The variant that is served; its seeds are averaged."""


@dataclass(frozen=True)
class Ranker:
    """Networks by (variant, seed number), and the vocabulary that they share."""

    networks: Mapping[tuple[Variant, int], DIN]
    trained_items: tuple[str, ...]
    """Items with an id embedding; position p has index p + 1."""
    form: ExampleForm

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
            "form": asdict(self.form),
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
                ExampleForm(
                    values["form"]["length"],
                    RatingScale(**values["form"]["scale"]),
                    Smoothing(**values["form"]["smoothing"]),
                ),
            )
        except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
            raise ArtifactError(
                f"the recommender in {folder} cannot be read ({error!r}); move the folder away and "
                "materialise the asset 'recommender' again"
            ) from error

    def item_table(self, item_embeddings: pl.DataFrame) -> ItemTable:
        """The items as these networks know it. Raises `ArtifactError` for another encoder."""
        item_table = ItemTable.make(item_embeddings, self.trained_items)
        expected = next(iter(self.networks.values())).config.text_dim
        if item_table.texts.shape[1] != expected:
            raise ArtifactError(
                f"item_embeddings have {item_table.texts.shape[1]} dimensions, but the recommender "
                f"was trained on {expected}; materialise the asset 'recommender' again"
            )
        return item_table
