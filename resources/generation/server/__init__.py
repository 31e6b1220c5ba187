"""Text generation by an OpenAI-compatible server."""
