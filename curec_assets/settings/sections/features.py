"""The sentence encoder."""

from pydantic import Field, PositiveInt

from curec_assets.settings.sections.base import OPERATIONAL, Section


class EncoderSettings(Section):
    """The frozen sentence encoder."""

    source: str = Field(
        description="`all-minilm-l6-v2` (embedded default), `tiny` (random, for tests), a local "
        "path, or a hub id with `@revision`."
    )
    batch_size: PositiveInt = Field(
        64, description="Texts encoded at once.", json_schema_extra=OPERATIONAL
    )
