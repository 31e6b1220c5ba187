"""Charts and tables as text, for metadata, reports and pages; knows no stage and no Dagster."""
