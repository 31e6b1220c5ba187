"""The name under which an exported policy is served: it changes with the weights.

A server that was started with an older policy therefore has another name than the one asked for,
and is noticed.
"""

import hashlib
from pathlib import Path

from resources.errors import ArtifactError

_FILES = ("adapter_model.safetensors", "adapter_config.json")


def served_model_name(adapter: Path) -> str:
    """`curec-` and 12 hex digits of a hash of the adapter's weights and configuration.

    Raises `ArtifactError` when `adapter` is no folder of a PEFT adapter in safetensors.
    """
    hasher = hashlib.sha256()
    for name in _FILES:
        try:
            with (adapter / name).open("rb") as stream:
                hasher.update(hashlib.file_digest(stream, "sha256").digest())
        except (FileNotFoundError, NotADirectoryError) as error:
            raise ArtifactError(
                f"{adapter} has no {name}; name the folder of a PEFT adapter with "
                f"{' and '.join(_FILES)}"
            ) from error
    return f"curec-{hasher.hexdigest()[:12]}"
