"""Base models: the same bytes each time, only safetensors, no code that was not allowed."""

import errno
import json
import re
import shutil
import subprocess
import sys

import huggingface_hub
import pytest
from transformers import AutoModelForCausalLM, AutoTokenizer, dynamic_module_utils

from resources.errors import ConfigError, EngineError
from resources.models import tiny as tiny_models
from resources.models.base_models import LanguageModel
from resources.models.downloads import SMOLLM2, Downloads


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
        "import sys; from pathlib import Path; from resources.models import tiny\n"
        "tiny.build_language_model(Path(sys.argv[1]))"
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
        "from resources.models.base_models import LanguageModel\n"
        "from resources.models.downloads import Downloads\n"
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


def edit(file, **changes):
    values = json.loads(file.read_text())
    file.write_text(json.dumps({**values, **changes}))


def bring_code(folder):
    """Makes the model need a class of its own."""
    edit(folder / "config.json", auto_map={"AutoModelForCausalLM": "modeling_own.Own"})
    (folder / "modeling_own.py").write_text(
        "from transformers import LlamaForCausalLM\n\n\nclass Own(LlamaForCausalLM):\n    pass\n"
    )


@pytest.mark.fault("a model in pickles, or with code")
@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json"])
def test_a_model_that_brings_its_own_code_is_refused(language_model, tiny, name):
    edit(tiny.path / name, auto_map={"AutoTokenizer": [None, "own.Evil"]})
    with pytest.raises(ConfigError, match=r"needs Python code of its own \(own\.Evil\)"):
        language_model.prepare(str(tiny.path))


def test_code_allowed_by_its_content_is_loaded(language_model, tiny, tmp_path, monkeypatch):
    bring_code(tiny.path)
    with pytest.raises(ConfigError, match="allowed are none") as refused:
        language_model.prepare(str(tiny.path))
    (named,) = re.findall(r"allow_code_of = \['(.*?)'\]", str(refused.value))
    allowed = language_model.prepare(str(tiny.path), allow_code_of=[named])
    assert (allowed.trust_remote_code, allowed.revision) == (True, named)

    monkeypatch.setattr(dynamic_module_utils, "HF_MODULES_CACHE", str(tmp_path / "modules"))
    monkeypatch.setattr(sys, "path", [*sys.path])  # transformers adds its folder of modules
    model = AutoModelForCausalLM.from_pretrained(
        allowed.path, trust_remote_code=allowed.trust_remote_code
    )
    assert type(model).__name__ == "Own"

    with (tiny.path / "modeling_own.py").open("a") as code:
        code.write("# one line more\n")
    with pytest.raises(ConfigError, match=named) as refused:
        language_model.prepare(str(tiny.path), allow_code_of=[named])
    assert "allow_code_of = ['local-" in str(refused.value)


def test_code_of_another_repository_is_never_allowed(language_model, tiny):
    edit(tiny.path / "config.json", auto_map={"AutoModel": "other/repo--modeling.Evil"})
    revision = language_model.revision(str(tiny.path))
    with pytest.raises(ConfigError, match="another repository"):
        language_model.prepare(str(tiny.path), allow_code_of=[revision])


def test_a_hub_model_s_code_is_allowed_by_commit_only(language_model, tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    commit = "0123456789abcdef0123456789abcdef01234567"
    bring_code(tiny.path)
    repository = tmp_path / "down" / "hub" / "models--owner--name"
    shutil.copytree(tiny.path, repository / "snapshots" / commit)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)

    moving = "owner/name@main"
    with pytest.raises(ConfigError, match=rf"base = 'owner/name@{commit}'"):
        language_model.prepare(moving, allow_code_of=[moving])
    pinned = f"owner/name@{commit}"
    with pytest.raises(ConfigError, match="allowed are none"):
        language_model.prepare(pinned)
    assert language_model.prepare(pinned, allow_code_of=[pinned]).trust_remote_code


def test_a_base_without_a_chat_template_is_refused(language_model, tiny):
    assert not language_model.prepare(str(tiny.path)).trust_remote_code
    template = (tiny.path / "chat_template.jinja").read_text()
    (tiny.path / "chat_template.jinja").unlink()
    with pytest.raises(ConfigError, match=r"no chat template.*instruct model"):
        language_model.prepare(str(tiny.path))
    config = tiny.path / "tokenizer_config.json"
    edit(config, chat_template=[{"name": "tool_use", "template": template}])
    with pytest.raises(ConfigError, match="no chat template"):
        language_model.prepare(str(tiny.path))
    for given in (template, [{"name": "default", "template": template}]):
        edit(config, chat_template=given)
        path = language_model.prepare(str(tiny.path)).path
        tokenizer = AutoTokenizer.from_pretrained(path)
        assert tokenizer.apply_chat_template([{"role": "user", "content": "a"}], tokenize=False)


def test_a_chat_template_is_part_of_the_revision(language_model, tiny):
    before = language_model.revision(str(tiny.path))
    with (tiny.path / "chat_template.jinja").open("a") as template:
        template.write("{# changed #}")
    assert language_model.revision(str(tiny.path)) != before


@pytest.mark.fault("a model in pickles, or with code")
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
