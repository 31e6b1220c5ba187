"""`Accelerator`: device, number format and processes, decided once and injected everywhere."""

from dataclasses import dataclass

import dagster as dg
from pydantic import Field

from resources.errors import ConfigError

_DEVICES = ("auto", "cpu", "cuda")
_DTYPES = ("auto", "float32", "bfloat16")


@dataclass(frozen=True)
class ResolvedAccelerator:
    """What this process computes on."""

    device: str
    """`cpu` or `cuda`."""
    dtype: str
    """`float32` or `bfloat16`: a name, so that it can be had without importing torch."""
    processes: int
    """Workers that training can use: one per CUDA device, 1 on a CPU."""


class Accelerator(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Where models run. `auto` takes CUDA when there is one, else the CPU."""

    device: str = Field("auto", description="`auto`, `cpu` or `cuda`.")
    dtype: str = Field(
        "auto",
        description="`auto`, `float32` or `bfloat16`. `auto` is bfloat16 on CUDA devices that "
        "support it and float32 elsewhere: on CPUs without AMX bfloat16 is about 100 times slower.",
    )
    threads: int = Field(
        0, description="CPU threads of one model process; 0 leaves torch's own choice.", ge=0
    )

    def resolve(self, dtype: str = "auto") -> ResolvedAccelerator:
        """Decide, and set the number of threads. Raises `ConfigError` for what cannot be.

        `dtype`: a number format that goes before the resource's own; `auto` for none.
        """
        _require("device", self.device, _DEVICES)
        _require("dtype", self.dtype, _DTYPES)
        import torch

        if self.threads:
            torch.set_num_threads(self.threads)
        available = torch.cuda.is_available()
        if self.device == "cuda" and not available:
            raise ConfigError(
                "accelerator.device is 'cuda' but torch sees no CUDA device; set it to 'auto' or "
                "'cpu', or install a CUDA build of torch and the driver"
            )
        cuda = available and self.device != "cpu"
        if dtype == "auto":
            dtype = self.dtype
        if dtype == "auto":
            dtype = "bfloat16" if cuda and torch.cuda.is_bf16_supported() else "float32"
        if dtype == "bfloat16" and not cuda and not torch.cpu.get_capabilities().get("amx_bf16"):
            raise ConfigError(
                "bfloat16 was asked for, but this CPU has no AMX, without which it is about 100 "
                "times slower than float32; leave language_model.dtype and accelerator.dtype at "
                "'auto'"
            )
        return ResolvedAccelerator(
            device="cuda" if cuda else "cpu",
            dtype=dtype,
            processes=torch.cuda.device_count() if cuda else 1,
        )


def _require(field: str, value: str, valid: tuple[str, ...]) -> None:
    if value not in valid:
        raise ConfigError(f"accelerator.{field} is {value!r}; set it to one of {', '.join(valid)}")
