"""The nine levels in words: as a sentence for people, and as the model writes them in its chain.

In the chain a level is one word, and each word begins with a token of its own: one choice among
nine, whose probabilities give an expected level. Ours, as are the words.
"""

VERDICTS = (
    "You will almost certainly not like it.",
    "You are very unlikely to like it.",
    "You are rather unlikely to like it.",
    "You are a little more likely to dislike it than to like it.",
    "It is a toss-up whether you will like it.",
    "You are a little more likely to like it than to dislike it.",
    "You are rather likely to like it.",
    "You are very likely to like it.",
    "You will almost certainly like it.",
)
"""The verdict sentence of level 1, 2, ... 9."""

CHAIN_WORDS = (
    "never",
    "hardly",
    "unlikely",
    "doubtful",
    "even",
    "possible",
    "likely",
    "surely",
    "certain",
)
"""The same levels in a chain of thought."""

LEVEL_SCALE = tuple(f" {word}" for word in CHAIN_WORDS)
"""As they stand in a chain: the scale of its prompt."""

STEPS = (
    "strongly against",
    "against",
    "slightly against",
    "neutral",
    "slightly for",
    "for",
    "strongly for",
)
"""A fact's strength -3 ... 3, as prompts say it."""


def verdict_sentence(level: int) -> str:
    """The sentence of a level (1 to 9)."""
    return VERDICTS[level - 1]


def chain_words(level: int) -> str:
    """What a chain of thought says for a level (1 to 9)."""
    return CHAIN_WORDS[level - 1]


def level_of_chain(words: str) -> int:
    """The inverse of `chain_words`."""
    return CHAIN_WORDS.index(words) + 1


def step(strength: int) -> str:
    """A strength (-3 to 3) in words."""
    return STEPS[strength + 3]
