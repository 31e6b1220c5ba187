"""Charts and tables as Markdown, for metadata, reports and pages; knows no stage, no Dagster."""
