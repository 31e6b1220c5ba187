"""What is in a folder, to see that nothing changed."""

from hashlib import file_digest
from pathlib import Path


def contents(folder: Path) -> dict[Path, str]:
    """Every file below it → hash."""
    found = {}
    for file in sorted(folder.rglob("*")):
        if file.is_file():
            with file.open("rb") as stream:
                found[file] = file_digest(stream, "sha256").hexdigest()
    return found
