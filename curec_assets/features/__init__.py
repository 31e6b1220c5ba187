"""Stage 6: texts as vectors (item text and reasons → embeddings)."""
