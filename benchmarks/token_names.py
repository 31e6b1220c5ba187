"""Names of the records of `make bench-speed-tokens`, which `million_reasons` reads again."""

COMMAND = "make bench-speed-tokens"
WALK, CANDIDATES = "walk", "candidates of a user"
PROMPT = "prompt"
SHARED = "beginning shared by all prompts of a user"
COMPLETION = "completion"
FREE = "free tokens of a completion"
ATTEMPTS = "walk: attempts per stored reason"
