"""What people read: outcome, quality report, model card, export, progress."""
