"""What happens to a home in its life: whether it is sound."""
