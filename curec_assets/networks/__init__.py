"""What the reward model and the recommender have in common: target attention, item vocabulary."""
