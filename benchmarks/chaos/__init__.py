"""`make chaos`: real SIGKILLs of real runs, at random, and what is left when the run has ended."""
