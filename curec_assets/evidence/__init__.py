"""Stage 2: what strictly earlier events, other users' too, say about a user and an item."""
