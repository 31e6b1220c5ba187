"""The most memory that was held, and giving it back once a model is no longer needed."""

import ctypes
import gc
import resource
import sys
from pathlib import Path


def peak_bytes() -> int:
    """The most memory that this process held at once, since it was started.

    Linux says it of the program alone; what `getrusage` says begins with its parent's.
    """
    try:
        status = Path("/proc/self/status").read_text(encoding="utf-8")
        return int(status.split("VmHWM:", 1)[1].split(maxsplit=1)[0]) * 1024
    except (OSError, IndexError):
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024


def release() -> None:
    """Collect garbage and hand what is free back to the operating system and the GPU's driver.

    glibc keeps freed blocks for the process: after a training it was 3.7 GB, which the next step
    in the same process would only add to.
    """
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's; musl has none
        if trim is not None:
            trim(0)
