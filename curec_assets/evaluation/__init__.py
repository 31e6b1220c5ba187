"""Metrics, intervals, the protocol of the comparison, quality of reasons; knows no Dagster."""
