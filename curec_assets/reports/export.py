"""`curec export-policy`: the policy as files that `transformers`, `peft` and vLLM load alone.

`adapter/` (PEFT), `merged/` (one safetensors model) and the model card `README.md`. All is written
under a temporary name beside the wanted folder, which appears when it is complete.
"""

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

from curec_assets.evaluation.reason_quality import Measured, reason_quality
from curec_assets.reports.model_card.card import EXAMPLE, model_card, serve_command
from curec_assets.reports.model_card.content import CardContent, PublishedBase
from curec_assets.settings import Profile
from resources.compute.accelerator import Accelerator
from resources.errors import ArtifactError, ConfigError
from resources.generation.protocol import GeneratorFactory, Sampling
from resources.models.adapter import require_adapter_fits
from resources.models.base_models import LanguageModel
from resources.models.checkpoint import BaseCheckpoint
from resources.models.served_name import served_model_name
from resources.storage.manifest import Manifest
from resources.storage.model_store import Artifact, ModelStore
from resources.storage.warehouse import Warehouse


@dataclass(frozen=True)
class ExportSources:
    """The resources that an export reads from."""

    store: ModelStore
    warehouse: Warehouse
    language_model: LanguageModel
    accelerator: Accelerator
    generator_factory: GeneratorFactory


def export_policy(folder: Path, asset: str, profile: Profile, sources: ExportSources) -> str:
    """Write the current policy of `asset` into the new `folder`; returns what to do with it.

    `profile` names the base model that the policy was trained on. Raises `ConfigError` when
    `folder` is in use or the profile has another base, `ArtifactError` when there is no policy or
    the disk refuses, `EngineError` when the adapter does not fit or the model cannot run.
    """
    _require_free(folder)
    artifact = _current(sources.store, asset)
    base = _base_of(artifact.manifest, profile, sources.language_model)
    adapter = artifact.path / "adapter"
    require_adapter_fits(base, adapter)
    published = PublishedBase.of(profile.language_model.base, base.revision)
    accelerator = sources.accelerator.resolve()
    max_new_tokens = artifact.manifest.config.get(
        "language_model.max_new_tokens", profile.language_model.max_new_tokens
    )
    with _appearing(folder) as unfinished:
        _write_adapter(unfinished / "adapter", adapter, published)
        _write_models(
            unfinished, base, adapter, dtype=accelerator.dtype, max_new_tokens=max_new_tokens
        )
        free, constrained = _example(unfinished / "merged", profile, sources, max_new_tokens)
        content = CardContent(
            base=published,
            policy=artifact.manifest,
            lineage=_lineage(artifact.manifest, sources),
            draft_grounded=_draft_grounded(artifact.manifest, sources),
            **_stored_reasons(artifact.manifest, profile, sources.warehouse),
            # Of the stored adapter, as the writers see it: the exported one names its base.
            served_name=served_model_name(adapter),
            dtype=accelerator.dtype,
            max_new_tokens=max_new_tokens,
            free_completion=free,
            constrained_completion=constrained,
        )
        (unfinished / "README.md").write_text(model_card(content), encoding="utf-8")
    return _told(folder, content)


def _require_free(folder: Path) -> None:
    if folder.is_dir() and not any(folder.iterdir()):
        return
    if folder.exists() or folder.is_symlink():
        raise ConfigError(
            f"folder {folder} exists and is not empty (or is a file); name a new one, or move it "
            "away: nothing is overwritten"
        )


def _current(store: ModelStore, asset: str) -> Artifact:
    try:
        return store.current(asset)
    except ArtifactError as error:
        raise ArtifactError(f"{error} (`make demo`, or `make ui` and Materialize)") from error


def _base_of(policy: Manifest, profile: Profile, language_model: LanguageModel) -> BaseCheckpoint:
    chosen = profile.language_model
    trained_on, revision = policy.inputs.get("base_model"), language_model.revision(chosen.base)
    if revision != trained_on:
        raise ConfigError(
            f"{policy.asset!r} ({policy.fingerprint}) was trained on base model {trained_on!r}, "
            f"but profile {profile.name!r} has {chosen.base!r} ({revision!r}); choose the profile "
            "that trained it (--profile or CUREC_PROFILE)"
        )
    base = language_model.prepare(chosen.base, allow_code_of=chosen.allow_code_of)
    if base.trust_remote_code:
        raise ConfigError(
            f"base model {chosen.base!r} needs Python code of its own, and an exported model loads "
            "without any; use the adapter in the model store with that base model and peft"
        )
    return base


@contextmanager
def _appearing(folder: Path) -> Iterator[Path]:
    """A folder under another name that becomes `folder` at the end of the block, or vanishes."""
    from safetensors import SafetensorError

    temporary = None
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
        unfinished = temporary / folder.name  # made as usual: a temporary folder is private
        unfinished.mkdir()
        yield unfinished
        for file in unfinished.rglob("*.safetensors"):  # written private: a server is another user
            shutil.copymode(unfinished / "README.md", file)
        unfinished.rename(folder)
    except (OSError, SafetensorError) as error:
        raise ArtifactError(
            f"the policy could not be exported to {folder}: {error}. Free disk space, or name a "
            "folder that can be written; nothing is left of this attempt"
        ) from error
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)


def _write_adapter(folder: Path, adapter: Path, base: PublishedBase) -> None:
    """The adapter as it is stored, with the name of its base for `peft`."""
    shutil.copytree(adapter, folder)
    file = folder / "adapter_config.json"
    values = json.loads(file.read_text(encoding="utf-8"))
    values |= {"base_model_name_or_path": base.name, "revision": base.revision}
    file.write_text(json.dumps(values, indent=2, sort_keys=True), encoding="utf-8")


def _write_models(
    folder: Path, base: BaseCheckpoint, adapter: Path, *, dtype: str, max_new_tokens: int
) -> None:
    """`merged/`, and the tokenizer in both folders."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

    tokenizer = AutoTokenizer.from_pretrained(base.path)
    # In the number format that CURec itself merges and writes in: the same weights to the bit.
    model: Any = AutoModelForCausalLM.from_pretrained(base.path, dtype=getattr(torch, dtype))
    model = PeftModel.from_pretrained(model, adapter).merge_and_unload()
    end = tokenizer.eos_token_id
    model.generation_config = GenerationConfig(
        do_sample=False,
        max_new_tokens=max_new_tokens,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=end,
        pad_token_id=end if tokenizer.pad_token_id is None else tokenizer.pad_token_id,
    )
    model.save_pretrained(folder / "merged")
    for part in ("adapter", "merged"):
        tokenizer.save_pretrained(folder / part)


def _example(
    merged: Path, profile: Profile, sources: ExportSources, max_new_tokens: int
) -> tuple[str, str]:
    """What the exported model writes to the card's example: free, and under the grammar."""
    options = replace(profile.generator_options(), engine="transformers", batch_size=2)
    with sources.generator_factory.open(BaseCheckpoint(merged), None, options) as generator:
        free, constrained = generator.write(
            [replace(EXAMPLE, grammar=""), EXAMPLE], Sampling(max_new_tokens)
        )
    return free.text, constrained.text


def _lineage(policy: Manifest, sources: ExportSources) -> dict[str, Manifest]:
    """Manifests of everything that `policy` was made from, as far as they are still stored."""
    found: dict[str, Manifest] = {}
    waiting = list(policy.inputs.items())
    while waiting:
        asset, data_version = waiting.pop(0)
        manifest = _manifest(asset, sources)
        if asset not in found and manifest is not None and manifest.data_version == data_version:
            found[asset] = manifest
            waiting += manifest.inputs.items()
    return found


def _manifest(asset: str, sources: ExportSources) -> Manifest | None:
    stored = sources.warehouse.manifest(asset)
    if stored is not None:
        return stored
    try:
        return sources.store.current(asset).manifest
    except ArtifactError:  # none of that name: an input that is no asset, or not stored any more
        return None


def _draft_grounded(policy: Manifest, sources: ExportSources) -> tuple[int, float] | None:
    """Number and grounded share of the drafts by the aligned model that `policy` comes from."""
    aligned = (
        policy if policy.asset == "aligned_llm" else _lineage(policy, sources).get("aligned_llm")
    )
    if aligned is None or sources.warehouse.manifest("draft_reasons") is None:
        return None
    drafts = sources.warehouse.read("draft_reasons", ["grounded", "policy_fingerprint"]).filter(
        pl.col("policy_fingerprint") == aligned.fingerprint
    )
    return (drafts.height, _share(drafts["grounded"])) if drafts.height else None


def _stored_reasons(policy: Manifest, profile: Profile, warehouse: Warehouse) -> dict[str, Any]:
    """Fields `quality`, `first_grounded` and `reasons` of the card: the reasons by this policy."""
    quality: list[Measured] = []
    if warehouse.manifest("recommendation_reasons") is None:
        return {"quality": quality, "first_grounded": 0.0, "reasons": 0}
    reasons = warehouse.read("recommendation_reasons").filter(
        pl.col("policy_fingerprint") == policy.fingerprint
    )
    if reasons.height:
        outcomes = warehouse.read("event_splits", ["event_id", "liked"])
        samples = profile.recommender.bootstrap_samples
        quality = reason_quality(
            reasons,
            outcomes,
            level_cuts=profile.evidence.level_cuts,
            samples=samples,
            seed=profile.seed,
        )
    return {
        "quality": quality,
        "first_grounded": _share(reasons["first_grounded"]),
        "reasons": reasons.height,
    }


def _share(flags: pl.Series) -> float:
    return float(flags.sum()) / max(len(flags), 1)


def _told(folder: Path, content: CardContent) -> str:
    def size(part: str) -> str:
        return f"{sum(f.stat().st_size for f in (folder / part).rglob('*')) / 1e6:.1f} MB"

    return f"""{content.policy.asset} {content.policy.fingerprint} is in {folder}
  README.md   model card
  adapter/    LoRA adapter for {content.base.name or "its base"} (PEFT), {size("adapter")}
  merged/     whole model, {content.dtype} safetensors, {size("merged")}

Serve it with vLLM (on a CPU add --dtype float32):
  {serve_command(str(folder / "merged"), content.served_name)}
and let CURec write with it: language_model.engine = "server", server.url = the address + /v1"""
