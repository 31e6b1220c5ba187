"""The sections of the settings: every number and choice of a run, typed, validated, described.

This module holds no method and no Dagster asset.
"""

from typing import Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    model_validator,
)
from pydantic.config import JsonDict

from resources.generation.protocol import Engine, ServerEndpoint

OPERATIONAL: JsonDict = {"operational": True}
"""Marks settings that say how or where work is done, and not what comes of it: they are in no
asset's identity, and every asset may read them."""


class Section(BaseModel):
    """A group of settings: immutable, and unknown names are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def config(self) -> dict[str, Any]:
        """The settings as plain JSON, for fingerprints and manifests."""
        return self.model_dump(mode="json")


class DataSettings(Section):
    """What to read and what counts as liked."""

    source: Literal["movielens-100k", "files", "toy"] = Field(
        description="Where interactions and items come from: the embedded default, your own two "
        "files, or a small synthetic set for tests."
    )
    interactions_path: str = Field(
        "", description="source=files: CSV or Parquet with one row per user-item event."
    )
    items_path: str = Field("", description="source=files: CSV or Parquet with one row per item.")
    user_column: str = Field("user_id", description="Interactions column that names the user.")
    item_column: str = Field("item_id", description="Column that names the item, in both files.")
    time_column: str = Field(
        "timestamp",
        description="Interactions column with the time: Unix seconds, or ISO 8601 text or dates.",
    )
    rating_column: str = Field(
        "rating", description="Interactions column with a rating, or a boolean label."
    )
    title_column: str = Field("title", description="Items column with the title.")
    attribute_columns: tuple[str, ...] = Field(
        (),
        description="Items columns whose values may be named in reasons (genre, brand, ...); empty "
        "means every text column besides id and title.",
    )
    attribute_separator: str = Field(
        ",", description="Separator inside a text cell that holds several attribute values."
    )
    liked_threshold: float = Field(
        4.0, description="An event is liked when rating >= this; for boolean labels use 0.5."
    )
    max_history: PositiveInt = Field(
        50, description="Longest history kept per event: the latest events before it."
    )


class SplitSettings(Section):
    """Global temporal split, and the train part's division by user."""

    train_fraction: float = Field(0.8, gt=0.0, lt=1.0, description="Earliest share of events.")
    validation_fraction: float = Field(
        0.1, gt=0.0, lt=1.0, description="Next share of events; the rest is test."
    )
    reward_fold_fraction: float = Field(
        0.5,
        gt=0.0,
        lt=1.0,
        description="Share of users whose training events fit the reward model; the others' drive "
        "alignment and reinforcement learning.",
    )

    @model_validator(mode="after")
    def _room_for_test(self) -> Self:
        if self.train_fraction + self.validation_fraction >= 1.0:
            raise ValueError(
                f"train_fraction {self.train_fraction} + validation_fraction "
                f"{self.validation_fraction} leaves nothing for test; their sum must be below 1"
            )
        return self


class EvidenceSettings(Section):
    """Collaborative evidence: which history items a prompt shows."""

    shrinkage: NonNegativeFloat = Field(
        10.0, description="Added to the co-like denominator, so that rare pairs count less."
    )
    max_liked: PositiveInt = Field(4, description="Liked history items shown in a prompt.")
    max_disliked: NonNegativeInt = Field(2, description="Disliked history items shown.")
    max_attributes: PositiveInt = Field(5, description="Attributes shown of the candidate item.")
    recent_items: NonNegativeInt = Field(
        0,
        description="Latest history items, with attributes, that begin every prompt of a user, "
        "whatever the candidate: computed once for all of a user's candidates.",
    )
    recent_attributes: NonNegativeInt = Field(2, description="Attributes shown of each of these.")
    cited_liked: int = Field(
        2, ge=1, le=2, description="Liked items that one reason may argue from."
    )
    cited_attributes: int = Field(
        2, ge=1, le=2, description="Attributes that one reason may argue from."
    )


class ExplanationSettings(Section):
    """What is said: how long reasons are, and what preference notes are written from."""

    wanted_words: PositiveInt = Field(
        45,
        description="Longest wanted reason, in words: what the teacher is told, and beyond which "
        "the policy is penalised.",
    )
    max_words: PositiveInt = Field(
        60, description="Longest accepted reason, in words: a longer one is not well formed."
    )
    note_liked: PositiveInt = Field(4, description="Liked items that a note is written from.")
    note_disliked: NonNegativeInt = Field(2, description="Disliked items it is written from.")
    note_attributes: PositiveInt = Field(2, description="Attributes shown of each of these.")
    note_enjoyed: PositiveInt = Field(3, description="Attributes that a note names as enjoyed.")
    note_avoided: PositiveInt = Field(2, description="Attributes that a note names as avoided.")
    note_tokens: PositiveInt = Field(48, description="Longest note, in tokens.")


class LanguageModelSettings(Section):
    """The base model and how text is generated."""

    base: str = Field(
        description="`smollm2-135m` (embedded default), `tiny` (random weights, for tests), a "
        "local path, or a Hugging Face hub id with `@revision`."
    )
    allow_code_of: tuple[str, ...] = Field(
        (),
        description="Base models whose own Python code may be run (trust_remote_code), each as "
        "`owner/name@commit`, or for a local folder as the revision that the refusal prints.",
    )
    engine: Engine = Field(
        "auto",
        description="What generates text: `transformers`, `vllm` (in this process), `server` (the "
        "section of that name says where), or `auto`: vLLM where it is installed and there is a "
        "GPU, else transformers.",
        json_schema_extra=OPERATIONAL,
    )
    batch_size: PositiveInt = Field(
        32, description="Completions generated at once.", json_schema_extra=OPERATIONAL
    )
    max_new_tokens: PositiveInt = Field(96, description="Longest completion, in tokens.")
    max_prompt_tokens: PositiveInt = Field(512, description="Longest prompt, in tokens.")
    temperature: PositiveFloat = Field(
        0.7, description="Sampling temperature of second and later attempts; first is greedy."
    )


class ServerSettings(Section):
    """An OpenAI-compatible endpoint, `vllm serve` for instance."""

    url: str = Field(
        "",
        description="Base address, such as http://127.0.0.1:8000/v1.",
        json_schema_extra=OPERATIONAL,
    )
    model: str = Field(
        "",
        description="Name of the served model. For the writer, empty means the name that "
        "`curec export-policy` prints, which changes with the weights.",
    )
    api_key_variable: str = Field(
        "",
        description="Environment variable that holds the key; the key itself is no setting.",
        json_schema_extra=OPERATIONAL,
    )
    concurrency: PositiveInt = Field(
        16, description="Requests under way at once.", json_schema_extra=OPERATIONAL
    )
    timeout_seconds: PositiveFloat = Field(
        120.0, description="Longest wait for one request.", json_schema_extra=OPERATIONAL
    )
    retries: NonNegativeInt = Field(
        5,
        description="Attempts after the first, with exponential backoff.",
        json_schema_extra=OPERATIONAL,
    )

    def endpoint(self) -> ServerEndpoint | None:
        """The endpoint, if one is named."""
        values = {name: getattr(self, name) for name in ServerSettings.model_fields}
        return ServerEndpoint(**values) if self.url else None


class TeacherSettings(ServerSettings):
    """A larger model that writes alignment targets, behind an OpenAI-compatible endpoint."""

    samples: PositiveInt = Field(
        4, description="Completions asked per event; the first that passes is the target."
    )
    temperature: PositiveFloat = Field(0.8, description="Sampling temperature of the teacher.")


class AlignmentSettings(Section):
    """Supervised fine-tuning (TRL SFTTrainer, LoRA)."""

    reason_examples: PositiveInt = Field(description="Training examples of the task *reason*.")
    verdict_examples: PositiveInt = Field(description="Training examples of the task *verdict*.")
    note_examples: PositiveInt = Field(
        description="Training examples of the task *preference note*."
    )
    epochs: PositiveInt = Field(1, description="Passes over the corpus.")
    learning_rate: PositiveFloat = Field(1e-3, description="AdamW peak learning rate.")
    batch_size: PositiveInt = Field(8, description="Examples per optimiser step.")
    max_tokens: PositiveInt = Field(
        1024, description="Longest training example, in tokens; longer ones are left out."
    )
    lora_rank: PositiveInt = Field(16, description="Rank of the LoRA adapter.")
    lora_first_layer: NonNegativeInt = Field(
        0, description="Lowest decoder layer that is adapted; higher is faster and weaker."
    )


class RewardSettings(Section):
    """The reward model and the reasons that it is fitted on."""

    draft_train: PositiveInt = Field(description="Reward-fold events that get a drafted reason.")
    draft_validation: PositiveInt = Field(
        description="Validation events that get one; the gate is decided on these."
    )
    epochs: PositiveInt = Field(3, description="Passes over the reward fold.")
    learning_rate: PositiveFloat = Field(1e-3, description="AdamW learning rate.")
    batch_size: PositiveInt = Field(512, description="Events per step.")
    dim: PositiveInt = Field(32, description="Embedding dimension.")
    reason_dropout: float = Field(
        0.3, gt=0.0, lt=1.0, description="Share of reasons replaced by the learned null."
    )
    shuffled_weight: NonNegativeFloat = Field(
        0.5, description="Weight of the loss on shuffled reasons."
    )
    weight_decay: NonNegativeFloat = Field(1e-3, description="AdamW weight decay.")
    text_dropout: float = Field(
        0.8,
        ge=0.0,
        lt=1.0,
        description="Share of a reason embedding's coordinates that are zeroed in fitting.",
    )
    extra_draws: NonNegativeInt = Field(
        4, description="Times that a drafted event is shown per epoch beyond the first."
    )
    drafted_share: float = Field(
        0.25, ge=0.0, le=1.0, description="Largest share of a batch for those extra showings."
    )
    least_item_events: PositiveInt = Field(
        2, description="Items with fewer events of the reward fold share one embedding."
    )
    gate_shuffles: PositiveInt = Field(
        8, description="Other users' reasons tried per event by the gate."
    )
    gate_samples: PositiveInt = Field(1000, description="Bootstrap resamples of the gate.")
    gate_least_users: PositiveInt = Field(
        10, description="With fewer users the gate resamples events instead of users."
    )
    gate_blocks: bool = Field(description="Whether a failed gate stops reinforcement learning.")


class PolicySettings(Section):
    """Reinforcement learning (TRL GRPOTrainer)."""

    steps: PositiveInt = Field(description="Optimiser steps.")
    prompts_per_step: PositiveInt = Field(description="Distinct events per step.")
    generations: int = Field(ge=2, description="Sampled reasons per event.")
    learning_rate: PositiveFloat = Field(2e-5, description="AdamW peak learning rate.")
    beta: NonNegativeFloat = Field(0.0, description="KL weight to the aligned model.")
    user_independent_weight: NonNegativeFloat = Field(
        0.5, description="Weight (lambda) of the part of the gain that is not about this user."
    )
    format_weight: NonNegativeFloat = Field(0.2, description="Reward of a well-formed reason.")
    groundedness_weight: NonNegativeFloat = Field(
        0.5, description="Reward of a reason whose claims are all in its prompt."
    )
    length_weight: NonNegativeFloat = Field(
        0.1, description="Penalty per share of words beyond explanation.wanted_words."
    )
    vllm: Literal["off", "colocate", "server"] = Field(
        "off",
        description="Who samples reasons during training: `off`, the model itself; `colocate`, a "
        "vLLM engine on the same GPU, asleep while the model learns; `server`, the `vllm serve` of "
        "the section `server`, on other GPUs.",
    )
    vllm_memory: float = Field(
        0.3,
        gt=0.0,
        le=1.0,
        description="Share of the GPU's memory for a colocated engine.",
        json_schema_extra=OPERATIONAL,
    )


class ReasonSettings(Section):
    """Which events get a reason, and the chronological correction."""

    users: PositiveInt = Field(description="Users whose events get reasons (seeded sample).")
    rounds: PositiveInt = Field(description="Events per user, walked in time order.")
    max_regenerations: NonNegativeInt = Field(
        2, description="Attempts after the first before the composer's reason is used."
    )
    correction: bool = Field(True, description="Whether notes are corrected by outcomes.")


class EncoderSettings(Section):
    """The frozen sentence encoder."""

    source: str = Field(
        description="`all-minilm-l6-v2` (embedded default), `tiny` (random, for tests), a local "
        "path, or a hub id with `@revision`."
    )
    batch_size: PositiveInt = Field(
        64, description="Texts encoded at once.", json_schema_extra=OPERATIONAL
    )


class RecommenderSettings(Section):
    """The final recommender, its evaluation, and what is recommended."""

    dim: PositiveInt = Field(32, description="Embedding dimension.")
    epochs: PositiveInt = Field(3, description="Most passes over the training events.")
    learning_rate: PositiveFloat = Field(3e-3, description="AdamW learning rate.")
    batch_size: PositiveInt = Field(1024, description="Events per step.")
    experts: PositiveInt = Field(2, description="Experts of each gated text adaptor.")
    seeds: PositiveInt = Field(3, description="Independent trainings per variant.")
    history_length: PositiveInt = Field(20, description="Latest history events that are read.")
    weight_decay: NonNegativeFloat = Field(1e-2, description="AdamW weight decay.")
    dropout: float = Field(0.2, ge=0.0, lt=1.0, description="Dropout of the hidden layer.")
    id_dropout: float = Field(
        0.05,
        ge=0.0,
        lt=1.0,
        description="Share of item ids replaced by the unknown id, so that it is learned.",
    )
    reason_dropout: float = Field(
        0.3,
        ge=0.0,
        lt=1.0,
        description="Share of reasons replaced by the learned null: candidates are ranked before "
        "their reasons are written.",
    )
    ease_l2: tuple[PositiveFloat, ...] = Field(
        (30.0, 100.0, 300.0, 1000.0),
        min_length=1,
        description="Regularisations of EASE that are tried on validation.",
    )
    ease_items: PositiveInt = Field(
        10_000,
        description="Most liked items that EASE knows (it inverts a matrix of this size); it "
        "scores all others 0.",
    )
    smoothing: PositiveFloat = Field(
        5.0, description="Events of prior belief in every smoothed mean."
    )
    recent_half_life: PositiveFloat = Field(
        5.0, description="Events after which a user's older likes count half."
    )
    candidates: PositiveInt = Field(100, description="Items that the retriever proposes.")
    retriever_weights: tuple[NonNegativeFloat, ...] = Field(
        (0.0, 0.5, 1.0, 2.0, 4.0, 8.0),
        min_length=1,
        description="Weights of the retriever's score beside the network's that are tried on "
        "validation; 0 is the network alone.",
    )
    ranked_events: PositiveInt = Field(
        1000,
        description="Liked events of a split that are ranked among all items: a seeded sample, "
        "the same for every recommender.",
    )
    top_k: PositiveInt = Field(3, description="Items recommended, each with a reason.")
    recommended_users: PositiveInt = Field(description="Users who get recommendations.")
    bootstrap_samples: PositiveInt = Field(1000, description="Resamples of users per interval.")
