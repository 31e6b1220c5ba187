"""URLs in messages."""

from urllib.parse import urlsplit


def shown(url: str) -> str:
    """The URL without what may be a secret: login and parameters."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
