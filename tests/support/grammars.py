"""Whether a grammar admits a text."""


def admits(grammar: str, text: str) -> bool:
    """As xgrammar says."""
    from xgrammar import Grammar
    from xgrammar.testing import _is_grammar_accept_string

    return bool(_is_grammar_accept_string(Grammar.from_ebnf(grammar), text))
