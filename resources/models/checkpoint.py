"""A base model on this machine, as it is handed from whoever allowed it to whoever loads it."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class BaseCheckpoint:
    """A base model that `transformers` can load from a folder."""

    path: Path
    revision: str = ""
    """Names the content, for fingerprints; empty where nobody asks."""
    trust_remote_code: bool = False
    """Whether its own Python code may be run: true only where `LanguageModel.prepare` found its
    exact revision in the settings. Every loader passes this on, so that nothing is loaded around
    that gate."""
