"""CURec: recommendations that carry a reason, as a Dagster project."""
