"""What models run on is decided once, and what cannot be is refused."""

import pytest
import torch

from resources.compute.accelerator import Accelerator, ResolvedAccelerator
from resources.errors import ConfigError


@pytest.fixture
def machine(monkeypatch):
    """A machine with so many CUDA devices."""

    def pretend(devices, bf16=True, amx=True):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": amx})
        monkeypatch.setattr(torch.cuda, "is_available", lambda: devices > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: devices)
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: bf16)

    return pretend


@pytest.mark.parametrize(
    ("devices", "bf16", "asked", "decided"),
    [
        (0, False, {}, ("cpu", "float32", 1)),
        (2, True, {}, ("cuda", "bfloat16", 2)),
        (1, False, {}, ("cuda", "float32", 1)),
        (2, True, {"device": "cpu"}, ("cpu", "float32", 1)),
        (1, True, {"dtype": "float32"}, ("cuda", "float32", 1)),
        (0, False, {"dtype": "bfloat16"}, ("cpu", "bfloat16", 1)),
    ],
)
def test_auto_takes_what_there_is(machine, devices, bf16, asked, decided):
    machine(devices, bf16)
    assert Accelerator(**asked).resolve() == ResolvedAccelerator(*decided)


def test_a_format_that_is_asked_for_goes_before_the_resources_own(machine):
    machine(0)
    assert Accelerator().resolve("bfloat16").dtype == "bfloat16"
    assert Accelerator(dtype="bfloat16").resolve("float32").dtype == "float32"


@pytest.mark.parametrize("ask", [{"dtype": "bfloat16"}, {}])
def test_bfloat16_on_a_cpu_without_amx_is_refused(machine, ask):
    machine(0, amx=False)
    with pytest.raises(ConfigError, match=r"language_model.dtype and accelerator.dtype at 'auto'"):
        Accelerator(**ask).resolve("auto" if ask else "bfloat16")


def test_cuda_where_there_is_none_is_refused(machine):
    machine(0)
    with pytest.raises(ConfigError, match="no CUDA device; set it to 'auto' or 'cpu'"):
        Accelerator(device="cuda").resolve()


@pytest.mark.parametrize("wrong", [{"device": "gpu"}, {"dtype": "fp16"}])
def test_unknown_values_are_refused_with_the_valid_ones(wrong):
    with pytest.raises(ConfigError, match="set it to one of auto, "):
        Accelerator(**wrong).resolve()


def test_threads_are_set_when_asked_for():
    before = torch.get_num_threads()
    try:
        Accelerator(threads=1).resolve()
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)
