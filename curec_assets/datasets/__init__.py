"""Raw data → items, interactions, splits; histories of any event."""
