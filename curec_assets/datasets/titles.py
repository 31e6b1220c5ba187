"""Titles: from catalogue order to natural order, and to keys for joining two catalogues."""

import re
import unicodedata

# Articles that catalogues put behind a comma: "Lion King, The", "Misérables, Les".
_ARTICLES = (
    "the|a|an|la|le|les|l'|un|une|il|lo|gli|i|el|los|las|o|os|das|der|die|ein|eine|det|den|en"
)
_INVERTED = re.compile(rf"^(?P<rest>.+), (?P<article>{_ARTICLES})$", re.IGNORECASE)
_LEADING_ARTICLE = re.compile(r"^(the|a|an) (?=.)")
_ALTERNATIVE = re.compile(r"^(?P<main>.+?)\s*\((?P<other>.+)\)$")


def natural_order(title: str) -> str:
    """`Godfather, The` → `The Godfather`; other titles are returned unchanged."""
    found = _INVERTED.match(title)
    if not found:
        return title
    article = found["article"]
    return f"{article}{'' if article.endswith(chr(39)) else ' '}{found['rest']}"


def split_alternative(title: str) -> tuple[str, str | None]:
    """Main and alternative title of "Main (Alternative)", each in natural order."""
    found = _ALTERNATIVE.match(title)
    if not found:
        return natural_order(title), None
    return natural_order(found["main"]), natural_order(found["other"])


def match_key(title: str) -> str:
    """Title without case, accents, punctuation and leading English article, for joins."""
    plain = unicodedata.normalize("NFKD", title.casefold().replace("&", " and "))
    plain = "".join(c for c in plain if not unicodedata.combining(c))
    plain = re.sub("['\u2019]", "", plain)
    words = re.sub(r"[^\w]+", " ", plain).strip()
    return _LEADING_ARTICLE.sub("", words)
