"""The trees are the same however many threads a machine has; tests themselves have one."""

import os
import subprocess
import sys

import pytest

SCRIPT = """
import hashlib
import numpy as np
from curec_assets.retrieval.list_models import Lists, TreeModel
from curec_assets.settings import RankingSettings

random = np.random.default_rng(1)
lists, size = 600, 60
features = random.normal(size=(lists * size, 12)).astype(np.float32)
liked = np.zeros((lists, size), dtype=bool)
liked[np.arange(lists), features[:, 0].reshape(lists, size).argmax(axis=1)] = True
made = Lists(features, liked.ravel(), np.full(lists, size))
names = tuple(f"f{n}" for n in range(12))
fitted = TreeModel.fit(names, made, made, RankingSettings(rounds=40), 1)
print(hashlib.sha256(fitted.booster.model_to_string().encode()).hexdigest())
"""


@pytest.mark.fault("another number of threads", tried=3)
def test_trees_do_not_depend_on_the_threads() -> None:
    found = [
        subprocess.run(
            [sys.executable, "-c", SCRIPT],
            env={**os.environ, "OMP_NUM_THREADS": str(threads)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for threads in (1, 4, 4)
    ]
    assert len(set(found)) == 1
