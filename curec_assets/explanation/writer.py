"""The model that writes, opened for an asset that declares it."""

from contextlib import AbstractContextManager

from curec_assets.core.inputs import Inputs
from resources.generation.journal import JournaledGenerator, journaled_generator


def writer_of(inputs: Inputs, asset: str) -> AbstractContextManager[JournaledGenerator]:
    """A generator with the adapter of `asset`; what it wrote once, for any asset, is kept."""
    model = inputs.artifact(asset)
    weights = model.manifest.data_version
    return journaled_generator(
        inputs.resource("generator_factory"),
        inputs.base_model(),
        model.path / "adapter",
        inputs.settings.generator_options(),
        workspace=inputs.completions(weights),
        identity=weights,
    )
