"""The policy, opened to write something now, beside whatever runs."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any

from curec_assets.settings import Profile
from resources.generation.protocol import TextGenerator


def open_policy(
    profile: Profile, resources: Mapping[str, Any]
) -> AbstractContextManager[TextGenerator]:
    """The present policy of a home, loaded. `resources`: by role, see `default_resources`.

    What it writes is not kept: the file of completions is for one process, that of a run. Raises
    `ArtifactError` where there is no policy, `CurecError` where its base cannot be had.
    """
    policy, model = resources["model_store"].current("reason_policy"), profile.language_model
    base = resources["language_model"].prepare(model.base, allow_code_of=model.allow_code_of)
    opened: AbstractContextManager[TextGenerator] = resources["generator_factory"].open(
        base, policy.path / "adapter", profile.generator_options()
    )
    return opened
