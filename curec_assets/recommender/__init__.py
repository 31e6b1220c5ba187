"""Recommenders, retrieval, evaluation, recommendations, report: DESIGN section 2, steps 7 and 8."""
