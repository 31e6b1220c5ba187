"""The language layer: facts, prompts, grammar, composer, grounding check, notes, writing."""
