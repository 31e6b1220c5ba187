"""The explorer: a page over a home; it reads, and keeps nothing but votes on reasons."""
