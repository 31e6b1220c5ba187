"""What a model card is made from: the base model as others know it, and what is stored."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from curec_assets.evaluation.reason_quality import Measured
from resources.models.base_models import is_hub_id
from resources.models.downloads import SMOLLM2
from resources.storage.manifest import Manifest

_SMOLLM2_NAME = "HuggingFaceTB/SmolLM2-135M-Instruct"


@dataclass(frozen=True)
class PublishedBase:
    """The base model as others know it."""

    name: str | None
    """Its id on the Hugging Face hub; None where it has none."""
    revision: str | None
    licence: str
    """In the hub's spelling; `unknown` where CURec cannot know."""
    remark: str

    @classmethod
    def of(cls, base: str, revision: str) -> "PublishedBase":
        """`base`: the setting `language_model.base`; `revision`: what names its content."""
        if base == "smollm2-135m":
            remark = (
                f"[{_SMOLLM2_NAME}](https://huggingface.co/{_SMOLLM2_NAME}), but not its published "
                "weights: they were dequantised from a 4-bit GGUF (Q4_1), member of the Python "
                f"package `{SMOLLM2.name}=={SMOLLM2.version}`. On the published weights the "
                "adapter runs, with texts that can differ; `merged/` is made of the others"
            )
            return cls(_SMOLLM2_NAME, None, "apache-2.0", remark)
        if base == "tiny":
            remark = "a randomly initialised model for tests: what it writes means nothing"
            return cls(None, None, "apache-2.0", remark)
        if is_hub_id(base):
            name, _, tag = base.partition("@")
            licence = "apache-2.0" if name.startswith("HuggingFaceTB/SmolLM2-") else "unknown"
            return cls(name, tag, licence, f"[{name}](https://huggingface.co/{name}) at `{tag}`")
        remark = f"a local checkpoint of whoever trained this policy, content `{revision}`"
        return cls(None, None, "unknown", remark)


@dataclass(frozen=True)
class CardContent:
    """Everything that a card is made from."""

    base: PublishedBase
    policy: Manifest
    lineage: Mapping[str, Manifest]
    """Manifests of what the policy was made from, by asset; only those that are still stored."""
    draft_grounded: tuple[int, float] | None
    """Reasons drafted by the aligned model, and the share that passed the grounding check."""
    quality: Sequence[Measured]
    """Measured on this policy's stored reasons; empty where there are none."""
    first_grounded: float
    """Share of the stored reasons whose first attempt passed the grounding check."""
    reasons: int
    served_name: str
    dtype: str
    max_new_tokens: int
    free_completion: str
    """What `merged/` writes to `EXAMPLE`, greedy, without its grammar."""
    constrained_completion: str
    """The same under the grammar."""
