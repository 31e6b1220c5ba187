"""Stage 5: write the reasons in time order, correct the notes by outcomes, store the reasons."""
