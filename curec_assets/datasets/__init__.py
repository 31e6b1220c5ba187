"""Raw data → items, interactions, splits, histories."""
