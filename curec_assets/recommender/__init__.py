"""Baselines, networks, ranking, evaluation, recommendations."""
