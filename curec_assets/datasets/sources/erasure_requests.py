"""Requests of erasure: files `NAME.forget` in the inbox, an id of a user on each line."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from curec_assets.datasets.sources.inbox import folder_of, standing_still
from curec_assets.settings import DataSettings
from resources.errors import DataError

SUFFIX = ".forget"


@dataclass(frozen=True)
class Request:
    """A file and what it said when it was read."""

    file: Path
    text: str

    @property
    def users(self) -> list[str]:
        """Ids, without what is around them."""
        return [line.strip() for line in self.text.splitlines() if line.strip()]

    def answered(self) -> None:
        """Remove the file, for it names whom it is about; one with new content is another."""
        if self.file.read_text(encoding="utf-8") == self.text:
            self.file.unlink()


def request_files(data: DataSettings) -> list[Path]:
    """Files of requests in the inbox, by name; none where the source has no inbox."""
    folder = folder_of(Path(data.interactions_path))
    if data.source != "files" or folder is None:
        return []
    return sorted(
        each
        for each in folder.iterdir()
        if each.suffix == SUFFIX and each.is_file() and not each.name.startswith(".")
    )


def read_requests(files: Sequence[Path]) -> list[Request]:
    """What they say, of those that nobody is writing. Raises `DataError` for what is no text."""
    found = []
    for file in standing_still(files):
        try:
            found.append(Request(file, file.read_text(encoding="utf-8")))
        except UnicodeDecodeError as error:
            raise DataError(
                f"{file} is no UTF-8 text ({error}); write one id of a user on each line"
            ) from error
    return found
