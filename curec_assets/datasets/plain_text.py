"""Text from outside made into nothing but text, before anything else sees it.

A title may hold what a tokenizer takes for a control token (`<|im_end|>`), characters that nobody
sees (zero-width, bidirectional), or one letter in two encodings. All of it ends here.
"""

import re
import unicodedata

# What chat models use: <|im_end|>, </s>, <end_of_turn>, <0x0A>, [INST], [SEP], also with wide bars.
_CONTROL = re.compile(
    r"<[|\uff5c]?/?(?! )(?=[^<>]*[A-Za-z])(?P<name>[\w .\u2581-]{1,40})[|\uff5c]?>"
    r"|\[/?(?P<bare>INST|PAD|UNK|CLS|SEP|MASK|BOS|EOS)\]"
)
_UNSEEN = ("Cf", "Cc", "Co", "Cn", "Cs")
_DEEPEST = 8  # control tokens in control tokens; who goes deeper loses every bracket
_BRACKETS = str.maketrans("", "", "<>[]")


def one_line(text: str) -> str:
    """On one line, in NFC, without double quotes, unseen characters and control tokens.

    Double quotes delimit titles in prompts and grammars. Of a control token its name stays. What
    comes out comes out again unchanged.
    """
    for _ in range(_DEEPEST):
        before, text = text, _once(text)
        if text == before:
            return text
    return _once(_once(text.translate(_BRACKETS)))


def shortened(text: str, most: int) -> str:
    """At most `most` characters: as many whole words as there is room for, and an ellipsis."""
    if len(text) <= most:
        return text
    cut = text[: most - 1]
    return (cut.rpartition(" ")[0] or cut).rstrip(" ,;:-(") + "\u2026"


def is_odd(text: str) -> bool:
    """Whether more than quotes, blanks and the encoding of letters had to change."""
    plain = " ".join(unicodedata.normalize("NFC", text.replace('"', "'")).split())
    return one_line(text) != plain


def _once(text: str) -> str:
    text = unicodedata.normalize("NFC", _seen(text.replace('"', "'")))
    text = _CONTROL.sub(lambda found: found["name"] or found["bare"], text)
    return " ".join(text.split())


def _seen(text: str) -> str:
    """Line breaks and tabs are blanks; other unseen characters are nothing."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        " " if character.isspace() else character
        for character in text
        if character.isspace() or unicodedata.category(character) not in _UNSEEN
    )
