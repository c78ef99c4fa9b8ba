"""The redactor: texts, values and URLs in, the same without secrets and personal data out."""

from __future__ import annotations

import bisect
import functools
import hashlib
import os
import secrets
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from triggers_nb.redaction.assignments import find_values
from triggers_nb.redaction.keys import SensitiveKeys
from triggers_nb.redaction.markers import Span, encode, make_marker, merge
from triggers_nb.redaction.places import find_names
from triggers_nb.redaction.prose import find_passwords
from triggers_nb.redaction.tokens import find_private_keys, find_tokens
from triggers_nb.redaction.urls import find_credentials, find_query_secrets
from triggers_nb.redaction.values import Copier

#: The environment variable that holds the key: with the same key, another process makes the same markers.
KEY_VARIABLE = "TRIGGERS_REDACTION_KEY"

_SHORTEST_KEY = 16
_ROUNDS = 8
_CACHED_LINES = 8192
_LONG_LINE = 500


class _Found(NamedTuple):
    """What was found in a line, as spans in it."""

    credentials: tuple[Span, ...]
    others: tuple[Span, ...]
    #: Of names that may have a value behind them, which can reach into the next lines.
    names: tuple[Span, ...]


class Redactor:
    """Replaces secrets and personal data by ``[redacted:<keyed hash>]``; what is ordinary stays as it is.

    Equal values get equal markers, in texts and in values, as long as the key is the same. Redacting twice is
    redacting once. Nothing that is passed in is changed, nothing in it makes a method raise, and every method takes
    time in proportion to the size of its argument.

    Parameters
    ----------
    key : bytes, optional
        Key of the hash, of any length; a random one if it is missing. It cannot be read back from the redactor.
    extra_keys : iterable of str
        Names that count as secrets, too, in any spelling (`crew_id`, `crewId`, `Crew-ID`), alone or at the end of
        a longer name.

    Raises
    ------
    TypeError, ValueError
        If `extra_keys` is one text, or has a name without letters.

    Examples
    --------
    >>> redact = Redactor(extra_keys=["crew_id"])
    >>> redact.value({"tail": "N338AA", "crewId": None, "seats": 3})
    {'tail': 'N338AA', 'crewId': None, 'seats': 3}
    >>> redact.text("token=9f86d081884c") == "token=" + redact.value("9f86d081884c", key="token")
    True
    """

    def __init__(self, key: bytes | None = None, *, extra_keys: Iterable[str] = ()) -> None:
        self._digest_key = hashlib.blake2b(key or secrets.token_bytes(32), digest_size=32).digest()
        self._keys = SensitiveKeys(extra_keys)
        self._scan = functools.lru_cache(maxsize=_CACHED_LINES)(self._scan_line)

    @classmethod
    def from_environment(cls, *, extra_keys: Iterable[str] = ()) -> Redactor:
        """Return a redactor with the key in ``TRIGGERS_REDACTION_KEY``, or with a random one if it is not set.

        Raises
        ------
        ValueError
            If the key has fewer than 16 characters: whoever guesses it can find out what markers stand for.
        """
        text = os.environ.get(KEY_VARIABLE, "")
        if text and len(text) < _SHORTEST_KEY:
            raise ValueError(
                f"{KEY_VARIABLE} has {len(text)} characters, expected at least {_SHORTEST_KEY}; make one with "
                '`python -c "import secrets; print(secrets.token_hex(32))"`, or unset it for a random key'
            )
        return cls(encode(text) or None, extra_keys=extra_keys)

    def __repr__(self) -> str:
        return "<Redactor>"

    def __reduce__(self) -> str:
        raise TypeError("a Redactor is not pickled: its key is not to be stored; make one from the same key instead")

    def text(self, text: str) -> str:
        """Return `text` with the secrets and personal data in it replaced, and nothing else.

        Examples
        --------
        >>> Redactor(key=b"0123456789abcdef").text("redis://ada:hunter2@cache:6379/0 refused, 3 tries")
        'redis://[redacted:734b9bc2e626]@cache:6379/0 refused, 3 tries'
        """
        if type(text) is not str:
            text = str.__str__(text)
        return self._replace(text, alone=False)

    def url(self, url: str) -> str:
        """Return a URL with its credentials and the secrets in its query replaced, whatever characters they have."""
        return self._replace(str.__str__(url), alone=True)

    def value(self, obj: Any, key: str | None = None) -> Any:
        """Return a deep copy of `obj` with the secrets and personal data in it replaced.

        Values under a sensitive key are replaced whole, by one marker, but for None, booleans and what is empty.
        All other texts and bytes go through `text`; so do the keys. The structure stays: mappings become dicts,
        lists, tuples, named tuples and sets stay what they are; objects of other types are replaced by their
        redacted repr, numbers, dates and times stay. What is nested more than 100 deep, or contains itself, becomes
        a marker.

        Parameters
        ----------
        obj : object
            What to redact; any types, in any depth.
        key : str, optional
            The name that `obj` stands under.

        Examples
        --------
        >>> redact = Redactor(key=b"0123456789abcdef")
        >>> redact.value({"flight": "AA1-JFK-LAX", "contact": {"email": "ada@example.org", "vip": True}})
        {'flight': 'AA1-JFK-LAX', 'contact': {'email': '[redacted:335c065e11d1]', 'vip': True}}
        """
        return Copier(self.text, self._keys, self._mark).copy(obj, key)

    def hides(self, name: str) -> bool:
        """Say whether values under a name are hidden whole.

        Examples
        --------
        >>> Redactor().hides("dbPassword"), Redactor().hides("tail")
        (True, False)
        """
        return self._keys.kind(name) is not None

    def _mark(self, value: bytes) -> str:
        return make_marker(self._digest_key, value)

    def _replace(self, text: str, *, alone: bool) -> str:
        # A marker may uncover what could not be recognised beside what it replaced: look again, until nothing is new.
        for _ in range(_ROUNDS):
            spans = self._find(text, alone=alone)
            if not spans:
                break
            text = "".join(self._pieces(text, spans))
        return text

    def _find(self, text: str, *, alone: bool) -> list[Span]:
        credentials = list(find_credentials(text, alone=True)) if alone else []
        others, names = list(find_private_keys(text)), []
        at = 0
        for line in text.split("\n"):
            found = self._scan(line) if len(line) < _LONG_LINE else self._scan_line(line)
            if found is not None:
                credentials += [(at + start, at + end) for start, end in found.credentials]
                others += [(at + start, at + end) for start, end in found.others]
                names += [(at + start, at + end) for start, end in found.names]
            at += len(line) + 1
        if not (credentials or others or names):
            return []
        others += find_values(text, names, self._keys)
        credentials.sort()
        return merge(text, [*credentials, *(span for span in others if not _straddles(span, credentials))])

    def _scan_line(self, line: str) -> _Found | None:
        """Return what a line has in itself; None if that is nothing. Lines of tracebacks repeat: cached as `_scan`."""
        found = _Found(
            tuple(find_credentials(line)),
            (*find_query_secrets(line), *find_tokens(line), *find_passwords(line)),
            tuple(find_names(line, self._keys)),
        )
        return found if any(found) else None

    def _pieces(self, text: str, spans: list[Span]) -> Iterator[str]:
        at = 0
        for start, end in spans:
            yield text[at:start]
            yield self._mark(encode(text[start:end]))
            at = end
        yield text[at:]


def _straddles(span: Span, credentials: list[Span]) -> bool:
    """Say whether `span` begins inside credentials and ends behind them: `ada:pass@db.example.org` is no e-mail."""
    before = bisect.bisect_right(credentials, span[0], key=lambda other: other[0]) - 1
    return before >= 0 and span[0] < credentials[before][1] < span[1]
