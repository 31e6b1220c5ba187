"""What every section of the settings is."""

from typing import Any

from pydantic import BaseModel, ConfigDict
from pydantic.config import JsonDict

OPERATIONAL: JsonDict = {"operational": True}
"""Marks settings that say how or where work is done, and not what comes of it: they are in no
asset's identity, and every asset may read them."""


class Section(BaseModel):
    """A group of settings: immutable, and unknown names are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def config(self) -> dict[str, Any]:
        """The settings as plain JSON, for fingerprints and manifests."""
        return self.model_dump(mode="json")
