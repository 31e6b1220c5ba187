"""Whether a LoRA adapter belongs to a base model: asked before either is loaded.

PEFT itself is silent when an adapter has layers that the base lacks: it loads the others.
"""

from collections.abc import Sequence
from pathlib import Path

from resources.errors import EngineError
from resources.models.checkpoint import BaseCheckpoint

Shape = tuple[int, ...]

_SHOWN = 3


def require_adapter_fits(base: BaseCheckpoint, adapter: Path) -> None:
    """Refuse an adapter whose tensors are not those that PEFT would make for `base`.

    `base` and `adapter`: folders of a `transformers` model and a PEFT adapter. Neither's weights
    are read: the base is built without memory (device `meta`), of the adapter only the header is
    read. Raises `EngineError`.
    """
    wanted, found = _wanted(base, adapter), _found(adapter)
    missing = sorted(wanted.keys() - found.keys())
    foreign = sorted(found.keys() - wanted.keys())
    other = [
        f"{name} {found[name]} instead of {wanted[name]}"
        for name in sorted(wanted.keys() & found.keys())
        if wanted[name] != found[name]
    ]
    problems = [
        f"{what}: {_some(names)}"
        for what, names in (
            ("it lacks", missing),
            ("the base model has no place for", foreign),
            ("other shapes", other),
        )
        if names
    ]
    if problems:
        raise _misfit(base, adapter, "; ".join(problems))


def _wanted(base: BaseCheckpoint, adapter: Path) -> dict[str, Shape]:
    """Name → shape of the tensors that an adapter of this configuration has on this base."""
    import torch
    from peft import PeftConfig, get_peft_model, get_peft_model_state_dict
    from transformers import AutoConfig, AutoModelForCausalLM

    try:
        shape = PeftConfig.from_pretrained(str(adapter))
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise _unreadable(adapter, "adapter_config.json", error) from error
    shape.base_model_name_or_path = None  # else PEFT warns that this base has another name
    config = AutoConfig.from_pretrained(base.path, trust_remote_code=base.trust_remote_code)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config, trust_remote_code=base.trust_remote_code)
    try:
        adapted = get_peft_model(model, shape, low_cpu_mem_usage=True)
    except ValueError as error:  # PEFT: none of the target modules is in the model
        raise _misfit(base, adapter, str(error)) from error
    tensors = get_peft_model_state_dict(adapted, save_embedding_layers=False)
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


def _found(adapter: Path) -> dict[str, Shape]:
    from safetensors import SafetensorError, safe_open

    file = adapter / "adapter_model.safetensors"
    try:
        with safe_open(file, framework="pt") as tensors:
            return {name: tuple(tensors.get_slice(name).get_shape()) for name in tensors.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise _unreadable(adapter, file.name, error) from error


def _some(names: Sequence[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _misfit(base: BaseCheckpoint, adapter: Path, why: str) -> EngineError:
    return EngineError(
        f"adapter {adapter} was not made for base model {base.path}: {why}. Choose the profile "
        "whose language_model.base it was trained on, or materialise the asset that made it again"
    )


def _unreadable(adapter: Path, name: str, error: Exception) -> EngineError:
    return EngineError(
        f"adapter {adapter}: {name} is missing or damaged ({error}); name the folder of a PEFT "
        "adapter in safetensors, or materialise the asset that made it again"
    )
