"""Measurements behind `docs/figures/*.json`; one module per `make bench-...` target.

What belongs here: code that runs CURec and what a user would otherwise run, side by side. What does
not: anything that the pipeline needs.
"""
