"""Drafted reasons, the reward model that judges reasons, and the gate that it must pass."""
