"""Measurements behind `docs/figures/*.json`; one module per `make bench-...` target.

What belongs here: code that runs CURec and what a user would otherwise run, side by side. What does
not: anything that the pipeline needs.
"""

import curec_assets  # noqa: F401  (what it sets must be set before Polars is imported)
