"""Stage 4: improve the reasons by reinforcement learning (aligned LLM → reason policy)."""
