"""Text generation with `transformers`: shared prefixes, packed batches, grammars."""
