"""What every stage builds on and that knows no stage: recording, provenance, seeds."""
