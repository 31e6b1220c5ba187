"""Which base models may run Python code of their own in this process.

`LanguageModel.prepare` is the gate: it allows a folder only after checking its exact revision
against the settings. Every loader asks here, so that nothing can be loaded around the gate.
"""

from pathlib import Path

_allowed: set[Path] = set()


def allow(base: Path) -> None:
    """Let the loaders run the code of this checkpoint, which has been allowed by revision."""
    _allowed.add(base.resolve())


def is_allowed(base: Path) -> bool:
    """What loaders pass as `trust_remote_code`."""
    return base.resolve() in _allowed
