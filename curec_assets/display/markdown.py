"""`Markdown`: text that is to be rendered, and not shown as it is."""

import re

_MARKUP = re.compile(r"[\\`*\[\]<>&|~]|(?<![^\W_])_|_(?![^\W_])")
# What renderers make a link of without any markup, even where it is escaped.
_ADDRESS = re.compile(r"(?i)(?<=http)(?=s?:)|(?<=ftp)(?=:)|(?<=www)(?=\.)|(?=@)")
_NOTHING = "<!-- -->"  # between two halves of an address: they are seen, and are no address


class Markdown(str):
    """A string in Markdown."""

    __slots__ = ()


def escaped(text: str) -> Markdown:
    """What is rendered as `text`, on one line or in a table's cell: no markup, HTML, image, link.

    For whatever comes from data or a model: a title may hold `![](http://...)`, which would tell
    its author who looks at it.
    """
    lines = (
        _ADDRESS.sub(_NOTHING, _MARKUP.sub(r"\\\g<0>", line)) for line in text.strip().splitlines()
    )
    return Markdown("<br>".join(lines))


def fenced(text: str) -> Markdown:
    """A block that shows `text` as it is, whatever fences are in it."""
    longest = max(map(len, re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return Markdown(f"{fence}text\n{text}\n{fence}")
