"""`Manifest`: the record of how one stored table or model came to be.

It is kept beside what it describes: in the warehouse for tables, as `manifest.json` (written last)
for model directories.
"""

import hashlib
import json
from datetime import datetime
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field

_CHECKSUM = "checksum"


class Manifest(BaseModel):
    """Provenance of one materialisation; everything in it is plain JSON."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    asset: str
    """Name of the asset, which is also the name of the table or of the model's folder."""
    fingerprint: str
    """Hash of code version, configuration and inputs: equal fingerprints, equal work."""
    data_version: str
    """Hash of the content that was stored."""
    code_version: str
    """The asset's code version when this was made."""
    code: dict[str, str] = Field(default_factory=dict)
    """File → digest of the code that this came from."""
    config: dict[str, Any] = Field(default_factory=dict)
    """The settings that the result depends on."""
    inputs: dict[str, str] = Field(default_factory=dict)
    """Name → data version of everything that was read."""
    metrics: dict[str, Any] = Field(default_factory=dict)
    """What was measured while it was made (losses, counts, scores)."""
    files: dict[str, str] = Field(default_factory=dict)
    """Relative path → SHA-256, for model directories."""
    sources: dict[str, str] = Field(default_factory=dict)
    """File → content hash of what was read from outside, for tables that grow by files."""
    forgotten: tuple[str, ...] = ()
    """Tombstones of users whose events this was fitted on before they were forgotten."""
    erased_from: tuple[str, ...] = ()
    """Data versions before rows of forgotten users were taken out, the oldest first."""
    row_count: int | None = None
    """Number of rows, for tables."""
    row_sum: str | None = None
    """How rows are hashed, and the sum of the hashes (hexadecimal), for tables that grow."""
    generation: str = ""
    """Random name of the last whole build of a table that grows; updates keep it."""
    order: tuple[str, ...] = ()
    """Columns that a table that grows is read in the order of; others are read as written."""
    seconds: float | None = None
    """Wall time of the work, in seconds."""
    created_at: datetime
    """When the work ended (UTC)."""

    def to_text(self) -> str:
        """As it is kept in a file: with a checksum, for nothing else says what it was."""
        values = self.model_dump(mode="json")
        return json.dumps({**values, _CHECKSUM: _checksum(values)}, indent=2, ensure_ascii=False)

    @classmethod
    def from_text(cls, text: str) -> Self:
        """The inverse. Raises `ValueError` for what was not written so.

        Of an older CURec there is no checksum, and none is asked for.
        """
        values = json.loads(text)
        said = values.pop(_CHECKSUM, None) if isinstance(values, dict) else None
        if said is not None and said != _checksum(values):
            raise ValueError("its checksum is another")
        return cls.model_validate(values)


def _checksum(values: dict[str, Any]) -> str:
    text = json.dumps(values, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
