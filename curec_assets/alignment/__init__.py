"""Stage 2: teach the language model to argue from evidence (alignment corpus → aligned LLM)."""
