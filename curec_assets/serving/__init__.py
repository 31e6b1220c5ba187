"""Asking now: what a person is recommended, and why; outside of Dagster, writing nothing."""
