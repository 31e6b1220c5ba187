"""What the benchmarks of language models read from a home that `make demo` filled."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from curec_assets.definitions import default_resources
from curec_assets.settings import Profile, load_profile
from resources.models.base_models import LanguageModel
from resources.models.checkpoint import BaseCheckpoint
from resources.storage.model_store import Artifact, ModelStore
from resources.storage.warehouse import Warehouse


@dataclass(frozen=True)
class Home:
    """A filled home, read only."""

    path: Path
    profile: Profile
    warehouse: Warehouse
    models: ModelStore
    base: BaseCheckpoint
    """The base model."""

    @classmethod
    def open(cls, path: Path, profile: str = "laptop", **overrides: Any) -> "Home":
        """The home at `path`, under a profile with `overrides` by section."""
        chosen = load_profile(profile, overrides)
        resources = default_resources(profile, path.resolve())
        language_model: LanguageModel = resources["language_model"]
        return cls(
            path.resolve(),
            chosen,
            resources["warehouse"],
            resources["model_store"],
            language_model.prepare(chosen.language_model.base),
        )

    def adapter(self, asset: str) -> Path:
        """The adapter of `aligned_llm` or `reason_policy`."""
        return self.current(asset).path / "adapter"

    def current(self, asset: str) -> Artifact:
        """The current version of a stored asset."""
        return self.models.current(asset)
