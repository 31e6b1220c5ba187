"""Fixtures of the tests that run vLLM for real: `make test-vllm`."""

from pathlib import Path

import pytest

from resources.downloads import Downloads
from resources.language_model import LanguageModel


@pytest.fixture(scope="session")
def language_model(request: pytest.FixtureRequest) -> LanguageModel:
    """Base models, kept between runs: fetching and converting SmolLM2 takes a minute."""
    cache = request.config.cache
    assert cache is not None
    home = cache.mkdir("curec-vllm")
    downloads = Downloads(cache_dir=str(home / "downloads"))
    return LanguageModel(cache_dir=str(home / "base_models"), downloads=downloads)


@pytest.fixture(scope="session")
def smollm2(language_model: LanguageModel) -> Path:
    return language_model.prepare("smollm2-135m").path


@pytest.fixture(scope="session")
def tiny(language_model: LanguageModel) -> Path:
    """For its tokenizer: vLLM's attention on CPUs does not take its heads of 16 numbers."""
    return language_model.prepare("tiny").path


@pytest.fixture(scope="session")
def adapter(smollm2: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A LoRA adapter on the upper layers, random and strong enough to change what is written."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    folder = tmp_path_factory.mktemp("policy") / "adapter"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        model = get_peft_model(
            AutoModelForCausalLM.from_pretrained(smollm2),
            LoraConfig(
                r=12,  # no rank that vLLM offers: it must be rounded up
                target_modules=["q_proj", "v_proj", "o_proj", "gate_proj", "down_proj"],
                layers_to_transform=list(range(20, 30)),
                task_type="CAUSAL_LM",
            ),
        )
        for name, weight in model.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(weight, std=0.02)
    model.save_pretrained(folder)
    return folder
