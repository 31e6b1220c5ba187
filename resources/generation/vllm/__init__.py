"""Text generation with vLLM, in processes of its own."""
