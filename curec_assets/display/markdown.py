"""`Markdown`: text that is to be rendered, and not shown as it is."""


class Markdown(str):
    """A string in Markdown."""

    __slots__ = ()
