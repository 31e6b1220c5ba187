"""The explorer: a page over a home, to look at people, items, quality and lineage; read-only."""
