"""URLs with credentials in them: `scheme://user:password@host/path?password=…`."""

from __future__ import annotations

import re
from collections.abc import Iterator

from triggers_nb.redaction.markers import Span

# What follows the scheme of a URL, up to white space or a quote, or to the next URL in a list of them. Such parts
# never overlap, so that the whole is linear. In a text that is nothing but a URL, they may hold anything.
_IN_TEXT = re.compile(r"""(?::|:\\)/\\?/((?:[^\s"'<>`:]++|:(?!\\?/\\?/))*+)""")
_ALONE = re.compile(r"://((?:[^:]++|:(?!//))*+)")
_AUTHORITY = re.compile(r"[^/?#]*+")
# A colon before anything but a port: user and password, also where the password has a slash or another delimiter.
_PASSWORD = re.compile(r"[^/?#@:\[]*+:(?!\d{1,5}(?:[/?#]|\Z))")
_QUERY = re.compile(
    r"(?i)[?&;](?:[\w.-]*?(?:password|passwd|pwd|secret|token|signature|api_?key)|sig|auth|key)=([^&;#\s]*+)"
)
# User names that are part of how a service is addressed (`ssh://git@…`), what is masked, and fields of formats.
_ORDINARY = re.compile(r"(?:git|hg|svn|celery|(?:[^:]*:)?\*+|\{[^{}]*\}(?::\{[^{}]*\})?)\Z")
_LOCAL = re.compile(r"(?i)(?:sqlite|memory|file):")


def find_credentials(text: str, *, alone: bool = False) -> Iterator[Span]:
    """Yield the spans of `user:password` in the URLs of a text, or of a text that is a URL, in linear time."""
    if "@" in text and ("://" in text or ":\\/" in text):
        for body in (_ALONE if alone else _IN_TEXT).finditer(text):
            start, end = body.start(1), body.start(1) + _measure_credentials(body[1])
            if start < end and not _ORDINARY.match(text, start, end):
                yield start, end


def safe_url(url: str) -> str:
    """Return `url` without user, password and secret query values: for reprs, errors and logs.

    Needs no key: everything that is hidden becomes ``***``. Never raises.

    Examples
    --------
    >>> safe_url("redis://ada:hunter2@cache.example.org:6379/0")
    'redis://***@cache.example.org:6379/0'
    >>> safe_url("redis://cache:6379/0?password=hunter2&timeout=3")
    'redis://cache:6379/0?password=***&timeout=3'
    >>> safe_url("sqlite:///triggers.db")
    'sqlite:///triggers.db'
    """
    if "://" in url:
        url = _ALONE.sub(_hide, url)
    elif "@" in url and not _LOCAL.match(url):
        url = "***@" + url.rpartition("@")[2]
    return _QUERY.sub(lambda found: found[0][: found.start(1) - found.start()] + "***", url)


def find_query_secrets(text: str) -> Iterator[Span]:
    """Yield the spans of signatures and keys in query strings that no general rule knows."""
    if "://" in text and "?" in text:
        for found in _QUERY.finditer(text):
            yield found.span(1)


def _hide(body: re.Match[str]) -> str:
    return "://***@" + body[1][length + 1 :] if (length := _measure_credentials(body[1])) else body[0]


def _measure_credentials(body: str) -> int:
    """Return how many characters before the ``@`` of a URL's `body` (what follows ``://``) are credentials."""
    if _PASSWORD.match(body):
        return max(0, body.rfind("@"))
    authority = _AUTHORITY.match(body)
    return max(0, authority[0].rfind("@")) if authority else 0
