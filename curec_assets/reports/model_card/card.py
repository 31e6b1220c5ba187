"""The model card of an exported policy: made from manifests and tables, never typed.

It speaks of aggregates only. No user, no event and no text of the data is in it: its example is
invented.
"""

import polars as pl

from curec_assets.display.markdown import fenced
from curec_assets.display.tables import markdown_table
from curec_assets.explanation.facts import Fact, Facts
from curec_assets.explanation.prompts import reason_prompt
from curec_assets.reports.model_card.content import CardContent, PublishedBase
from curec_assets.reports.model_card.measures import measures_text
from resources.models.downloads import RECBOLE, WIKIDATA_FILMS

_PAPER = "https://arxiv.org/abs/2508.07595"
_DATA = {
    "movielens-100k": (
        "MovieLens 100K (GroupLens), with film attributes from Wikidata",
        f"{RECBOLE.licence}. Item text: {WIKIDATA_FILMS.licence}. No rating and no user is "
        "in these files; titles and attributes of films were training text",
    ),
    "files": (
        "files of whoever trained this policy",
        "unknown to CURec: whoever trained this policy must say. Titles and attributes of the "
        "catalogue were training text",
    ),
    "database": (
        "queries of a database of whoever trained this policy",
        "unknown to CURec: whoever trained this policy must say. Titles and attributes of the "
        "catalogue were training text",
    ),
    "toy": ("synthetic, made by CURec for tests", "none needed: the data are made up"),
}

EXAMPLE = reason_prompt(
    Facts(
        title="The Silent Harbor",
        attributes=("thriller", "drama", "Clara Dunn"),
        arguments=(
            Fact("like_minded", 3),
            Fact("crowd", -2),
            Fact("related", 2, value="The Distant Road", liked=True),
            Fact("attribute", 1, value="thriller"),
            Fact("habit", -1),
        ),
        note="stricter than the crowd; likes thriller more; likes none less",
    )
)
"""An invented prompt of the task *reason*, with its grammar."""


def model_card(content: CardContent) -> str:
    """The card: YAML metadata and Markdown."""
    from huggingface_hub import ModelCard, ModelCardData

    base = content.base
    source = _source(content)
    licence, licence_name = _licence(base, source)
    data = ModelCardData(
        language="en",
        license=licence,
        license_name=licence_name,
        license_link=None if licence_name is None else "https://grouplens.org/datasets/movielens/",
        library_name="transformers",
        pipeline_tag="text-generation",
        base_model=base.name,
        tags=["curec", "recommendation", "explanation", "lora", "trl"],
    )
    sections = {
        "": _opening(content),
        "Use": _use(content),
        "Prompt": _prompt(content),
        "Training": _training(content),
        "Data": _data(content, source),
        "What was measured": measures_text(content),
        "Limits": _limits(content),
        "Licences": _licences(base, source, _teacher(content)),
    }
    body = "\n\n".join(
        f"## {title}\n\n{text}" if title else text for title, text in sections.items()
    )
    return str(ModelCard(f"---\n{data.to_yaml()}\n---\n\n{body}\n"))


def _source(content: CardContent) -> str | None:
    raw = content.lineage.get("events")
    return None if raw is None else raw.config.get("data.source")


def _licence(base: PublishedBase, source: str | None) -> tuple[str, str | None]:
    if source == "movielens-100k":
        return "other", "movielens-100k-research-use"
    return (base.licence if source == "toy" else "unknown"), None


def _opening(content: CardContent) -> str:
    policy = content.policy
    what = {
        "reason_policy": "policy after reinforcement learning",
        "aligned_llm": "model after supervised fine-tuning",
    }[policy.asset]
    return (
        f"# {content.served_name}\n\n"
        "A small language model that says how likely a user is to like an item, and why, from "
        f"graded facts in its prompt. It is the {what} of a CURec run (asset "
        f"`{policy.asset}`, fingerprint `{policy.fingerprint}`, made {policy.created_at:%Y-%m-%d})."
        "\n\n"
        f"- Base: {content.base.remark}.\n"
        "- `adapter/`: LoRA adapter (PEFT) for that base, with tokenizer and chat template.\n"
        f"- `merged/`: base and adapter in one model, {content.dtype} safetensors, with tokenizer, "
        "chat template and generation defaults (greedy, at most "
        f"{content.max_new_tokens} new tokens).\n"
        f"- `{content.served_name}`: the name that CURec asks a server for; it changes with the "
        "adapter's weights."
    )


def _use(content: CardContent) -> str:
    base = content.base.name or "path/of/the/base/model"
    chat = ",\n".join(f"    {message!r}" for message in EXAMPLE.chat())
    return f"""From this folder, with `transformers`:

```python
from transformers import AutoModelForCausalLM, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("merged")
model = AutoModelForCausalLM.from_pretrained("merged")
chat = [
{chat},
]
inputs = tokenizer.apply_chat_template(
    chat, add_generation_prompt=True, return_dict=True, return_tensors="pt"
)
written = model.generate(**inputs)[0, inputs["input_ids"].shape[1] :]
print(tokenizer.decode(written, skip_special_tokens=True))
```

With `peft`, on the base model:

```python
from peft import PeftModel

model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained({base!r}), "adapter")
```

With vLLM, which samples unless told otherwise:

```sh
{serve_command("merged", content.served_name)}
```"""


def serve_command(merged: str, served_name: str) -> str:
    """The shell command that serves the folder `merged` as CURec expects it."""
    return (
        f"vllm serve {merged} --served-model-name {served_name} "
        """--override-generation-config '{"temperature": 0}'"""
    )


def _prompt(content: CardContent) -> str:
    same = content.free_completion == content.constrained_completion
    constrained = (
        "CURec's grammar changes nothing here."
        if same
        else f"Under CURec's grammar:\n\n{fenced(content.constrained_completion)}"
    )
    system, user = (text for _, text in EXAMPLE.messages)
    return f"""A chat of a system and a user turn: the task, a note on the user's taste, the item,
and one fact a line under a short handle, graded on one scale from *strongly against* to *strongly
for*. An invented example:

{fenced(system)}

{fenced(user)}

`merged/` writes (greedy, no grammar):

{fenced(content.free_completion)}

{constrained} The first line cites facts by their handles and names one of nine levels; CURec
decodes it under a grammar made from the prompt, so that it can only cite what is there, writes the
expected level instead of the likeliest, and renders it as a verdict sentence. Then it has the model
word the cited facts, by default under a second grammar, and checks the sentence. Two more tasks
exist: the first line alone, and the note."""


def _training(content: CardContent) -> str:
    aligned = content.lineage.get("aligned_llm")
    lines = [
        f"After *Towards Comprehensible Recommendation with Large Language Model Fine-tuning* "
        f"([arXiv 2508.07595]({_PAPER})). The paper's: evidence from other users' behaviour, "
        "alignment, a reward model in the manner of a recommender, reinforcement learning. CURec "
        "knew only its abstract and outline: the realisation below is CURec's own, and no figure "
        "here is the paper's.",
        "",
        "1. Supervised fine-tuning (TRL `SFTTrainer`, LoRA) on chats with grounded targets"
        + (
            f": {aligned.metrics['examples']} examples, {aligned.metrics['steps']} steps."
            if aligned
            else "."
        )
        + " "
        + _targets(content),
    ]
    if content.policy.asset == "reason_policy":
        config = content.policy.config
        lines += [
            "2. Two readers: a click model (DIN) that reads item, history and reason, and a plain "
            "reader of the reason alone, fitted on other users' events.",
            f"3. GRPO: {len(content.policy.metrics['reward'])} steps of "
            f"{config['policy.prompts_per_step']} events with {config['policy.generations']} "
            "sampled reasons each. Reward: what the reason adds to both readers' log-likelihood of "
            "the outcome, less the part that is not about this user, plus form and groundedness, "
            "less disagreement of level and arguments, less excess length.",
        ]
    return "\n".join(lines)


def _teacher(content: CardContent) -> str | None:
    """The model that targets came from; None where the composer wrote all, as far as is known."""
    corpus = content.lineage.get("alignment_corpus")
    return None if corpus is None else corpus.config.get("teacher.model")


def _targets(content: CardContent) -> str:
    teacher = _teacher(content)
    if "alignment_corpus" not in content.lineage:
        return "What wrote the targets is not recorded any more."
    if teacher is None:
        return (
            "The level that is taught is that of a collaborative evidence model, not the outcome. "
            "The targets were composed from sentence patterns by CURec, without a teacher model."
        )
    return (
        "The level that is taught is that of a collaborative evidence model, not the outcome. "
        f"Targets of reasons came from the teacher model `{teacher}` where its level was that one "
        "and its sentence passed the grounding check; the others were composed from sentence "
        "patterns by CURec."
    )


def _data(content: CardContent, source: str | None) -> str:
    name = _DATA[source][0] if source in _DATA else "not recorded any more"
    rows = [
        {"made from": asset, "rows": manifest.row_count, "data version": manifest.data_version}
        for asset, manifest in content.lineage.items()
    ]
    known = markdown_table(
        pl.DataFrame(rows, schema={"made from": str, "rows": int, "data version": str}), limit=99
    )
    inputs = ", ".join(f"{key} `{value}`" for key, value in content.policy.inputs.items())
    return (
        f"Source: {name}. Only events of the training split were learnt from, and an event's "
        f"outcome is in no prompt about it.\n\n{known}\n\n"
        f"Fingerprints of the direct inputs: {inputs}. "
        f"Data version of the result: `{content.policy.data_version}`."
    )


def _limits(content: CardContent) -> str:
    return (
        "- It knows what the prompt says. Without the grammar and the check it can name items and "
        "attributes that are not in the prompt.\n"
        "- The check is lexical: it sees names and roles, not sense.\n"
        "- It grades what the facts say; how well the facts tell the outcome is measured above, "
        "where it was.\n"
        "- It was fitted on one form of English prompt; as a general assistant it was not tested.\n"
        "- Biases of the base model and of the data are in it and were not measured."
    )


def _licences(base: PublishedBase, source: str | None, teacher: str | None) -> str:
    data = _DATA[source][1] if source in _DATA else "unknown"
    taught = f"- Teacher model `{teacher}`: unknown to CURec.\n" if teacher else ""
    return (
        f"- Base model: {base.licence}.\n- Data: {data}.\n{taught}"
        "- Whether terms of data bind a model fitted on them is not settled; CURec gives "
        "no legal advice."
    )
