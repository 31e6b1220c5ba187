"""Base models: the same bytes each time, only safetensors, never code that comes with a model."""

import errno
import json
import subprocess
import sys

import pytest
from transformers import AutoModelForCausalLM, AutoTokenizer

from resources import tiny_models
from resources.downloads import SMOLLM2, Downloads
from resources.errors import ConfigError, EngineError
from resources.language_model import LanguageModel


@pytest.fixture
def language_model(tmp_path):
    return LanguageModel(
        cache_dir=str(tmp_path / "base"), downloads=Downloads(cache_dir=str(tmp_path / "down"))
    )


@pytest.fixture
def tiny(language_model):
    return language_model.prepare("tiny")


def content(folder):
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def test_tiny_is_byte_for_byte_the_same_in_another_process(tiny, tmp_path):
    # Another process: what a library draws from a hash seed is the same within one.
    script = (
        "import sys; from pathlib import Path; from resources import tiny_models\n"
        "tiny_models.build_language_model(Path(sys.argv[1]))"
    )
    again = tmp_path / "again"
    subprocess.run([sys.executable, "-c", script, str(again)], check=True, capture_output=True)
    assert content(again) == content(tiny.path)


def test_tiny_is_made_once(language_model, tiny, monkeypatch):
    monkeypatch.setattr(tiny_models, "build_language_model", lambda _: pytest.fail("built again"))
    assert language_model.prepare("tiny") == tiny


def test_tiny_speaks_chatml_and_its_padding_is_not_an_end_of_turn(tiny):
    tokenizer = AutoTokenizer.from_pretrained(tiny.path)
    assert tokenizer.eos_token == "<|im_end|>"
    assert tokenizer.pad_token_id != tokenizer.eos_token_id
    chat = [{"role": "user", "content": 'Why "Amélie" (2001)?'}]
    text = tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
    turn = '<|im_start|>user\nWhy "Amélie" (2001)?<|im_end|>\n<|im_start|>assistant\n'
    assert text.endswith(turn)
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text
    model = AutoModelForCausalLM.from_pretrained(tiny.path)
    assert model.config.max_position_embeddings == 2048
    assert model.get_input_embeddings().num_embeddings == len(tokenizer)


def test_revisions_are_had_without_torch(tmp_path):
    script = (
        "import sys\n"
        "from resources.language_model import LanguageModel\n"
        "from resources.downloads import Downloads\n"
        "lm = LanguageModel(cache_dir='x', downloads=Downloads(cache_dir='x'))\n"
        "print(lm.revision('tiny'), lm.revision('smollm2-135m'), lm.revision('a/b@main'))\n"
        "assert not {'torch', 'transformers'} & set(sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True
    )
    tiny, smollm2, hub = done.stdout.split()
    assert SMOLLM2.revision in smollm2
    assert len({tiny, smollm2, hub}) == 3


def test_a_local_folder_is_used_and_its_revision_follows_its_content(language_model, tiny):
    found = language_model.prepare(str(tiny.path))
    assert found.path == tiny.path
    weights = tiny.path / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    changed = language_model.revision(str(tiny.path))
    assert changed != found.revision
    assert language_model.revision(str(tiny.path)) == changed


def test_a_model_that_brings_its_own_code_is_refused(language_model, tiny):
    file = tiny.path / "config.json"
    config = json.loads(file.read_text())
    file.write_text(json.dumps({**config, "auto_map": {"AutoModel": "modeling.Evil"}}))
    for use in (language_model.prepare, language_model.revision):
        with pytest.raises(ConfigError, match=r"auto_map.*never run"):
            use(str(tiny.path))


def test_pickled_weights_are_refused(language_model, tiny):
    (tiny.path / "model.safetensors").rename(tiny.path / "pytorch_model.bin")
    with pytest.raises(ConfigError, match=r"no \.safetensors.*never loaded"):
        language_model.prepare(str(tiny.path))


def test_a_folder_without_a_model_is_refused(language_model, tmp_path):
    with pytest.raises(ConfigError, match=r"no config\.json"):
        language_model.prepare(str(tmp_path))


@pytest.mark.parametrize("base", ["smollm3", "./nowhere", "owner/name", "owner/name@"])
def test_an_unknown_base_is_refused(language_model, base):
    with pytest.raises(ConfigError, match="does not exist"):
        language_model.prepare(base)


def test_a_build_that_fails_leaves_nothing_and_is_explained(language_model, tmp_path, monkeypatch):
    def fails(folder):
        (folder / "config.json").write_text("{}")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tiny_models, "build_language_model", fails)
    with pytest.raises(EngineError, match="Free disk space"):
        language_model.prepare("tiny")
    monkeypatch.undo()
    assert list((tmp_path / "base").iterdir()) == []
    assert language_model.prepare("tiny").path.exists()


def test_the_default_without_network_says_how_to_get_it(language_model, monkeypatch, tmp_path):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    with pytest.raises(EngineError, match=SMOLLM2.sha256):
        language_model.prepare("smollm2-135m")
