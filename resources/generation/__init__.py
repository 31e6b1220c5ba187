"""Text generation: one protocol, its factory, and one room per engine."""
