"""Raw data → items, interactions, splits, histories, collaborative evidence."""
