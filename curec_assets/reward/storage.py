"""The files of a stored reward model: weights as safetensors, everything else as JSON."""

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from curec_assets.reward.dataset import PooledHistory
from curec_assets.reward.model import RewardNetwork, Shape, blank
from curec_assets.reward.reader import PlainReader
from resources.errors import ArtifactError

_WEIGHTS = "reward_model.safetensors"
_DESCRIPTION = "reward_model.json"
_READER = "reader.safetensors"


@dataclass(frozen=True)
class Description:
    """All of a stored recommender-shaped reader that is not a weight."""

    shape: Shape
    positions: int
    """Latest history items that are read."""
    encoder_source: str
    """The text encoder that the reasons were encoded with (`encoder.source`)."""
    seed: int
    item_ids: tuple[str, ...]
    """Items of rows 1, 2, ... of the item table."""
    pool: tuple[PooledHistory, ...]
    """Histories that are lent to other users' events."""


def save_model(
    folder: Path, network: RewardNetwork, reader: PlainReader, description: Description
) -> None:
    """Write both readers and the description into `folder`."""
    weights = {name: value.contiguous() for name, value in network.state_dict().items()}
    save_file(weights, folder / _WEIGHTS)
    coefficients = {"coefficients": torch.from_numpy(reader.coefficients).contiguous()}
    save_file(coefficients, folder / _READER)
    values = {
        "shape": description.shape.to_json(),
        "positions": description.positions,
        "encoder_source": description.encoder_source,
        "seed": description.seed,
        "item_ids": description.item_ids,
        "pool": [vars(history) for history in description.pool],
        "reader": {
            "intercept": reader.intercept,
            "base_rate": reader.base_rate,
            "item_rates": reader.item_rates,
        },
    }
    text = json.dumps(values, ensure_ascii=False, sort_keys=True)
    (folder / _DESCRIPTION).write_text(text, encoding="utf-8")


def read_model(folder: Path) -> tuple[RewardNetwork, PlainReader, Description]:
    """The inverse of `save_model`. Raises `ArtifactError` when the files do not fit together."""
    try:
        values = json.loads((folder / _DESCRIPTION).read_text(encoding="utf-8"))
        description = Description(
            shape=Shape(**values["shape"]),
            positions=values["positions"],
            encoder_source=values["encoder_source"],
            seed=values["seed"],
            item_ids=tuple(values["item_ids"]),
            pool=tuple(
                PooledHistory(h["user_id"], tuple(h["item_ids"]), tuple(h["likes"]))
                for h in values["pool"]
            ),
        )
        network = blank(description.shape)
        network.load_state_dict(load_file(folder / _WEIGHTS), assign=True)
        coefficients = load_file(folder / _READER)["coefficients"].numpy()
        if coefficients.shape != (description.shape.text_dim,):
            raise ValueError(f"the plain reader has coefficients of shape {coefficients.shape}")
        reader = PlainReader(coefficients, **values["reader"])
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        raise ArtifactError(
            f"the reward model in {folder} cannot be read ({error!r}); move the folder away and "
            "materialise the asset 'reward_model' again"
        ) from error
    return network.eval(), reader, description
