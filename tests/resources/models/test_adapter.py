"""An adapter is refused on any base but its own, without loading either."""

import json
from pathlib import Path
from typing import Any

import pytest
from peft import LoraConfig, get_peft_model
from transformers import AutoConfig, AutoModelForCausalLM

from resources.errors import EngineError
from resources.models.adapter import require_adapter_fits
from resources.models.base_models import LanguageModel
from resources.models.checkpoint import BaseCheckpoint
from resources.models.downloads import Downloads


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("base")
    downloads = Downloads(cache_dir=str(folder / "downloads"))
    return LanguageModel(cache_dir=str(folder), downloads=downloads).prepare("tiny").path


def other_base(base: Path, folder: Path, **changes: Any) -> Path:
    """The tiny model with another configuration."""
    config = AutoConfig.from_pretrained(base, **changes)
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    return folder


def adapter_of(base: Path, folder: Path, **options: Any) -> Path:
    options = {"r": 4, "target_modules": ["q_proj", "down_proj"], **options}
    model = AutoModelForCausalLM.from_pretrained(base)
    get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", **options)).save_pretrained(folder)
    return folder


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"layers_to_transform": [1]},
        {"use_dora": True},
        {"target_modules": "all-linear", "modules_to_save": ["norm"]},
    ],
)
def test_an_adapter_fits_the_base_it_was_made_for(
    base: Path, tmp_path: Path, options: dict[str, Any]
) -> None:
    require_adapter_fits(BaseCheckpoint(base), adapter_of(base, tmp_path, **options))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"hidden_size": 32, "head_dim": 16}, r"other shapes: .*\(4, 64\) instead of \(4, 32\)"),
        ({"num_hidden_layers": 3}, r"it lacks: .*layers\.2"),
        ({"num_hidden_layers": 1}, r"has no place for: .*layers\.1"),
    ],
)
def test_an_adapter_for_another_base_is_refused(
    base: Path, tmp_path: Path, changes: dict[str, Any], says: str
) -> None:
    adapter = adapter_of(base, tmp_path / "adapter")
    other = other_base(base, tmp_path / "other", **changes)
    with pytest.raises(EngineError, match=rf"was not made for base model .*{says}"):
        require_adapter_fits(BaseCheckpoint(other), adapter)


def test_an_adapter_for_another_architecture_is_refused(base: Path, tmp_path: Path) -> None:
    adapter = adapter_of(base, tmp_path / "adapter")
    sizes = {"n_embd": 32, "n_layer": 2, "n_head": 2, "vocab_size": 64}
    config = AutoConfig.for_model("gpt2", **sizes, bos_token_id=0, eos_token_id=0)
    AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path / "gpt2")
    with pytest.raises(EngineError, match=r"was not made for base model .*q_proj"):
        require_adapter_fits(BaseCheckpoint(tmp_path / "gpt2"), adapter)


def test_a_damaged_adapter_is_refused(base: Path, tmp_path: Path) -> None:
    adapter = adapter_of(base, tmp_path)
    weights = adapter / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    with pytest.raises(EngineError, match=r"adapter_model\.safetensors is missing or damaged"):
        require_adapter_fits(BaseCheckpoint(base), adapter)
    weights.unlink()
    with pytest.raises(EngineError, match=r"adapter_model\.safetensors is missing or damaged"):
        require_adapter_fits(BaseCheckpoint(base), adapter)
    (adapter / "adapter_config.json").write_text(json.dumps({"peft_type": "unheard of"}))
    with pytest.raises(EngineError, match=r"adapter_config\.json is missing or damaged"):
        require_adapter_fits(BaseCheckpoint(base), adapter)
