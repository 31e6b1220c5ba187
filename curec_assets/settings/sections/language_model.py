"""The language models: the one that is trained, and those behind servers."""

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt

from curec_assets.settings.sections.base import OPERATIONAL, Section
from resources.generation.protocol import Engine, NumberFormat, ServerEndpoint


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
    dtype: NumberFormat = Field(
        "auto",
        description="Number format in which a trained model writes: `float32`, `bfloat16`, or "
        "`auto`, the accelerator's. A CPU with AMX writes twice as fast in bfloat16, another "
        "refuses it; a text may then depend on what is written along with it.",
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
        120.0,
        description="Longest wait for one whole answer.",
        json_schema_extra=OPERATIONAL,
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
