"""A home that cannot be written is looked at, never half changed, and the fix is said."""

import ctypes
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.chaos.home import Home

_DROP_FROM_BOUNDING_SET = 24  # prctl
_OVERRIDE, _READ_SEARCH = 1, 2  # capabilities that let root write where modes forbid it
CUREC = (sys.executable, "-m", "curec_assets.cli")


def _obey_modes() -> None:
    """In a child process: root is then held to modes as everybody is."""
    if os.geteuid() == 0:
        libc = ctypes.CDLL(None, use_errno=True)
        for capability in (_OVERRIDE, _READ_SEARCH):
            assert libc.prctl(_DROP_FROM_BOUNDING_SET, capability, 0, 0, 0) == 0


@pytest.fixture
def read_only(filled_home: Home) -> Home:
    for path in (filled_home.path, *filled_home.path.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o500 if path.is_dir() else 0o400)
    return filled_home


def curec(home: Home, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*CUREC, *arguments],
        env=home.environment,
        preexec_fn=_obey_modes,
        capture_output=True,
        text=True,
        timeout=120,
    )


def content(folder: Path) -> dict[str, tuple[int, int]]:
    """Path → size and time of change."""
    found = ((path, path.stat()) for path in folder.rglob("*"))
    return {str(path): (stat.st_size, stat.st_mtime_ns) for path, stat in found}


@pytest.mark.fault("read-only home", tried=6)
def test_what_writes_refuses_before_it_begins_and_what_reads_reads(read_only: Home) -> None:
    before = content(read_only.path)
    for command in (("demo",), ("forget", "u01"), ("use-policy", "0"), ("prune", "--delete")):
        refused = curec(read_only, *command)
        assert refused.returncode == 1, command
        assert refused.stderr.startswith(f"curec: {read_only.path} cannot be written"), command
        assert "Traceback" not in refused.stderr, command
    outcome = curec(read_only, "outcome")
    assert outcome.returncode == 0, outcome.stderr
    assert "lambdamart" in outcome.stdout
    doctor = curec(read_only, "doctor")
    assert doctor.returncode == 1
    assert "WRONG  writing" in doctor.stdout
    assert "Traceback" not in doctor.stderr
    assert "ok     table recommendations" in doctor.stdout
    assert content(read_only.path) == before
