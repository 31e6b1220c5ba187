"""Models that come from outside: base language models, adapters, text encoders, downloads."""
