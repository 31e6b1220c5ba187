"""vLLM's own server loads the exported policy and writes what `transformers` writes."""

import json
import shlex
import shutil
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from curec_assets.definitions import default_resources
from curec_assets.explanation.facts import Fact, Facts
from curec_assets.explanation.prompts import reason_prompt
from curec_assets.reports.export import ExportSources, export_policy
from curec_assets.reports.model_card.card import serve_command
from curec_assets.settings import load_profile
from resources.compute.accelerator import Accelerator
from resources.generation.protocol import GeneratorOptions, Sampling, ServerEndpoint
from resources.generation.server.generator import ServerFactory
from resources.generation.transformers.generator import TransformersFactory
from resources.generation.vllm.engine import installed
from resources.models.base_models import LanguageModel
from resources.models.checkpoint import BaseCheckpoint
from resources.models.served_name import served_model_name
from resources.storage.manifest import Manifest
from resources.storage.model_store import hash_files

if not installed():
    pytest.skip("vLLM is not installed: `make test-vllm` runs these", allow_module_level=True)

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.timeout(1200),
    pytest.mark.filterwarnings("default"),  # vLLM's own, in an environment of other versions
]

MAX_NEW_TOKENS = 40
OPTIONS = GeneratorOptions(batch_size=8, max_prompt_tokens=400, max_new_tokens=MAX_NEW_TOKENS)
PROMPTS = [
    reason_prompt(
        Facts(
            title,
            ("drama", "crime"),
            (
                Fact("related", 2, "The Quiet River", True),
                Fact("related", 1, "The Last Letter", True),
                Fact("crowd", -2),
            ),
        )
    )
    for title in ("Heat", "Alien", "Speed", "Casablanca", "Notting Hill", "The Fly")
]
SAME = len(PROMPTS) - 1  # rounding may turn a choice between near equals


@pytest.fixture(scope="module")
def exported(
    language_model: LanguageModel,
    smollm2: Path,
    adapter: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """SmolLM2 with a random adapter, exported like a policy."""
    folder = tmp_path_factory.mktemp("export")
    profile = load_profile("laptop")
    resources = default_resources("laptop", folder / "home")
    store = resources["model_store"]
    with store.writing("aligned_llm") as temporary:
        shutil.copytree(adapter, temporary / "adapter")
        store.commit(
            temporary,
            Manifest(
                asset="aligned_llm",
                fingerprint="random",
                data_version="random",
                code_version="1",
                config={"language_model.max_new_tokens": MAX_NEW_TOKENS},
                inputs={"base_model": language_model.revision("smollm2-135m")},
                metrics={"loss": [1.0, 0.5], "examples": 1, "steps": 2},
                files=hash_files(temporary),
                created_at=datetime.now(UTC),
            ),
        )
    home = ExportSources(
        store=store,
        warehouse=resources["warehouse"],
        language_model=language_model,
        accelerator=resources["accelerator"],
        generator_factory=resources["generator_factory"],
    )
    export_policy(folder / "policy", "aligned_llm", profile, home)
    return folder / "policy"


@pytest.fixture(scope="module")
def server(
    exported: Path, adapter: Path, serving: Callable[[Sequence[str]], AbstractContextManager[str]]
) -> Iterator[str]:
    """The address of the server that the exported card's command starts."""
    command = serve_command(str(exported / "merged"), served_model_name(adapter))
    vllm, serve, *arguments = shlex.split(command)
    assert (vllm, serve) == ("vllm", "serve")
    with serving([*arguments, "--max-model-len", "512"]) as url:
        yield url


def test_a_plain_request_is_answered_greedily_with_the_text_of_transformers(
    server: str, exported: Path, adapter: Path
) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    merged = exported / "merged"
    tokenizer = AutoTokenizer.from_pretrained(merged)
    model = AutoModelForCausalLM.from_pretrained(merged)
    same = 0
    for prompt in PROMPTS:
        inputs = tokenizer.apply_chat_template(
            prompt.chat(), add_generation_prompt=True, return_dict=True, return_tensors="pt"
        )
        output = model.generate(**inputs)[0, inputs["input_ids"].shape[1] :]
        body = {"model": served_model_name(adapter), "messages": prompt.chat()}
        request = urllib.request.Request(
            f"{server}/chat/completions",
            json.dumps(body).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=300) as answer:
            found = json.load(answer)
        assert found["usage"]["prompt_tokens"] == inputs["input_ids"].shape[1]
        assert found["usage"]["completion_tokens"] <= MAX_NEW_TOKENS
        text = tokenizer.decode(output, skip_special_tokens=True)
        same += found["choices"][0]["message"]["content"] == text
    assert same >= SAME


def test_the_server_writer_finds_the_policy_by_the_adapter_s_name(
    server: str, smollm2: Path, adapter: Path
) -> None:
    sampling = Sampling(MAX_NEW_TOKENS)
    with TransformersFactory(accelerator=Accelerator()).open(
        BaseCheckpoint(smollm2), adapter, OPTIONS
    ) as generator:
        theirs = generator.write(PROMPTS, sampling)
    options = GeneratorOptions(
        8, 400, MAX_NEW_TOKENS, engine="server", server=ServerEndpoint(server)
    )
    with ServerFactory().open(BaseCheckpoint(smollm2), adapter, options) as generator:
        ours = generator.write(PROMPTS, sampling)
    assert sum(a.text == b.text for a, b in zip(ours, theirs, strict=True)) >= SAME
