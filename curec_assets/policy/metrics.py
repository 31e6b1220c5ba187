"""The stored metrics of a reason policy."""

from collections.abc import Mapping
from typing import Any


def step_means(metrics: Mapping[str, Any]) -> dict[str, list[float]]:
    """Those with one value per optimiser step (a mean over its samples), in their order."""
    return {name: values for name, values in metrics.items() if isinstance(values, list)}
