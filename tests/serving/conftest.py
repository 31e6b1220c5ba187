"""What the tests of serving share."""

import os
from collections.abc import Iterator

import pytest


@pytest.fixture
def umask() -> Iterator[None]:
    """A command closes its files to others by the process's umask; put back afterwards."""
    before = os.umask(0o022)
    yield
    os.umask(before)
