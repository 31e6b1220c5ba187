"""A process's most memory is its own, whoever started it."""

import subprocess
import sys

from resources.compute.memory import peak_bytes

_CHILD = "from resources.compute.memory import peak_bytes; print(peak_bytes())"


def test_a_small_process_of_a_large_one_is_small() -> None:
    large = bytes(1) * 600_000_000
    assert peak_bytes() > len(large)
    # vfork, as `subprocess` does it: what the child says by `getrusage` would be the parent's.
    said = subprocess.run([sys.executable, "-c", _CHILD], capture_output=True, check=True)
    assert int(said.stdout) < len(large) / 2
