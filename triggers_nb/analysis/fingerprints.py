"""Which failures have the same cause: a short digest of what a failure says about itself.

It is made of the application's own frames (module and function, no line numbers), the type of the exception and its
message without its values; and of the same of what caused it. What libraries did in between does not count.
"""

from __future__ import annotations

import re
from collections import Counter
from functools import lru_cache
from hashlib import blake2b
from typing import Final, NamedTuple

from triggers_nb.analysis.messages import mask_message
from triggers_nb.analysis.origins import Application, find_application
from triggers_nb.analysis.raising import mask_filled_in
from triggers_nb.analysis.tracebacks import HEADER, Raised, Traceback, parse

__all__ = ["FINGERPRINT_VERSION", "fingerprint", "mask_message", "top_frame"]

#: Version of the algorithm; every fingerprint begins with it.
FINGERPRINT_VERSION: Final = 1

#: Texts are remembered up to this length, and messages read up to it.
_MAX_REMEMBERED: Final = 20_000
_MAX_MASKED: Final = 1_000
_BEFORE_MESSAGE: Final = re.compile(r"[^\W\d][\w.<>]*: $")
_PLACE: Final = re.compile(r" \([^()]*, line \d+\)$")
_MEMBERS: Final = re.compile(r" \(\d+ sub-exceptions?\)$")
_HINT: Final = re.compile(r"\. Did you (?:mean|forget to import)\b.*$")
_UNICODE: Final = re.compile(r"('[^']*' codec can't (?:en|de)code) ", re.DOTALL)
#: Classes that have another name in older versions of Python.
_RENAMED: Final = {"PatternError": "error", "timeout": "TimeoutError"}
_SYNTAX: Final = ("SyntaxError", "IndentationError", "TabError")


def fingerprint(
    exception_type: str, exception_message: str, traceback_text: str, *, app_prefixes: tuple[str, ...] = ()
) -> str:
    """Return the fingerprint of a failure: equal for failures of the same cause.

    Parameters
    ----------
    exception_type : str
        Class of the exception; its module does not count.
    exception_message : str
        Its message; if empty, the traceback's.
    traceback_text : str
        As `traceback.format_exc` gives it; may be empty.
    app_prefixes : tuple of str
        The application's folders or packages; without, what is in no library is the application.

    Returns
    -------
    str
        ``v1-`` and twelve hexadecimal digits, the same on every machine and in every process. (Where a new version of
        Python or of a library words a message differently, the fingerprint is another one.)

    Examples
    --------
    >>> fingerprint("KeyError", "'N14228'", "") == fingerprint("KeyError", "'N24211'", "")
    True
    >>> fingerprint("KeyError", "'seats'", "") == fingerprint("KeyError", "'year'", "")
    False
    """
    head = _cut_message(traceback_text, exception_message)
    outline = (_remembered if len(head) <= _MAX_REMEMBERED else _outline)(head, app_prefixes)
    exception_type, message = exception_type or outline.final.type, exception_message or outline.final.message
    parts = [*outline.before, *_describe_final(outline.final, exception_type, message), *outline.after]
    digest = blake2b("\0".join(parts).encode("utf-8", "backslashreplace"), digest_size=6).hexdigest()
    return f"v{FINGERPRINT_VERSION}-{digest}"


def top_frame(traceback_text: str, *, app_prefixes: tuple[str, ...] = (), exception_message: str = "") -> str | None:
    """Return the application's function in which a failure came up, as ``module:function``.

    The innermost one of the exception that was not caught; of what caused it, if that has none. With
    `exception_message`, tracebacks that differ only in that are not taken apart again.

    Examples
    --------
    >>> top_frame('''Traceback (most recent call last):
    ...   File "/srv/app/tasks/seats.py", line 8, in import_planes
    ...     row = json.loads(line)
    ...   File "/usr/lib/python3.11/json/__init__.py", line 346, in loads
    ...     return _default_decoder.decode(s)
    ... json.decoder.JSONDecodeError: Expecting value: line 1 column 1 (char 0)
    ... ''')
    'tasks.seats:import_planes'
    """
    head = _cut_message(traceback_text, exception_message)
    return (_remembered if len(head) <= _MAX_REMEMBERED else _outline)(head, app_prefixes).top


class _Outline(NamedTuple):
    """What does not depend on the message of the exception that was not caught."""

    final: Raised
    before: tuple[str, ...]
    after: tuple[str, ...]
    top: str | None


def _cut_message(text: str, message: str) -> str:
    """Cut a traceback off where the message of its last exception begins: what is left is the same for many."""
    start = text.rfind(message) if message else -1
    if start < 0 or not _BEFORE_MESSAGE.match(text[:start].rpartition("\n")[2]) or HEADER in text[start:]:
        return text
    return text[:start] if "Exception Group" not in text else text


def _outline(text: str, app_prefixes: tuple[str, ...]) -> _Outline:
    story = parse(text)
    application = find_application(story, app_prefixes)
    final = story.final
    places = [application.find_places(raised.frames) for raised in reversed(story.exceptions)]
    return _Outline(
        final,
        tuple(_find_places(final, application)),
        tuple(_describe_causes(story, application)),
        next((found[-1] for found in places if found), None),
    )


_remembered = lru_cache(maxsize=1024)(_outline)


def _describe(story: Traceback, application: Application) -> list[str]:
    """List what counts about what a traceback tells."""
    return [*_describe_one(story.final, application), *_describe_causes(story, application)]


def _describe_causes(story: Traceback, application: Application) -> list[str]:
    """List the exceptions in a group, what caused the last exception, and what that happened during."""
    members = {"\n".join(_describe(member, application)) for member in story.final.members}
    root, aside = _trace_back(story.exceptions, application)
    parts = sorted(members)
    if root is not story.final:
        parts += ["caused by", *_describe_one(root, application)]
        parts += sorted({"\n".join(_describe(member, application)) for member in root.members})
    if aside is not None:
        parts += ["during", _class_name(aside.type), *application.find_places(aside.frames)[-1:]]
    return parts


def _describe_one(raised: Raised, application: Application) -> list[str]:
    return [*_find_places(raised, application), *_describe_final(raised, raised.type, raised.message)]


def _find_places(raised: Raised, application: Application) -> list[str]:
    """List the application's functions once each: the depth of a recursion does not count."""
    places = application.find_places(raised.frames)
    return _find_cycle(places) if _class_name(raised.type) == "RecursionError" else list(dict.fromkeys(places))


def _find_cycle(places: list[str]) -> list[str]:
    """List the functions that call each other without end: where that began, and where it broke off, is chance."""
    times = Counter(places)
    for last in range(len(places) - 1, 0, -1):
        if times[places[last]] > 1:
            before = max(position for position in range(last) if places[position] == places[last])
            return sorted(set(places[before:last]))
    return list(dict.fromkeys(places))


def _describe_final(raised: Raised, exception_type: str, message: str) -> tuple[str, str]:
    name = _class_name(exception_type)
    code = raised.frames[-1].code if raised.frames else ""
    if name in _SYNTAX and raised.frames and raised.frames[-1].file.startswith("<"):
        return name, ""  # a text that somebody typed: what is wrong with it differs from one to the next
    return name, _summarise(message[:_MAX_REMEMBERED], code, name)


def _class_name(exception_type: str) -> str:
    name = exception_type.rpartition(".")[2]
    return _RENAMED.get(name, name)


@lru_cache(maxsize=4096)
def _summarise(message: str, code: str, name: str) -> str:
    """Return a message without values, and without what depends on where the error was seen."""
    message = message.partition(HEADER)[0]
    if name == "RecursionError":
        return message[: len("maximum recursion depth exceeded")]
    if found := _UNICODE.match(message):  # which byte comes first is chance
        return found[1]
    if name in _SYNTAX:
        message = _PLACE.sub("", message)
    message = _MEMBERS.sub("", _HINT.sub("", message))
    return mask_message(mask_filled_in(message, code, name), name)[:_MAX_MASKED]


def _trace_back(exceptions: tuple[Raised, ...], application: Application) -> tuple[Raised, Raised | None]:
    """Find what caused the last of some exceptions, and what that happened in the handling of, by chance.

    An exception that was raised *from* another was caused by it, and so was one that a `raise` in the handler's own
    function replaced. What else goes wrong in a handler has a cause of its own. What libraries handled among
    themselves before the application heard of it does not count.
    """
    position = len(exceptions) - 1
    root = exceptions[-1] if exceptions else Traceback(()).final
    while position > 0:
        later, earlier = exceptions[position], exceptions[position - 1]
        if not _repeats(later, earlier, application):
            if later.link == "context" and not _replaces(later, earlier):
                return root, earlier
            if application.find_places(earlier.frames) or earlier.members:
                root = earlier
        position -= 1
    return root, None


def _replaces(later: Raised, earlier: Raised) -> bool:
    """Tell whether an exception was raised, in place of another, where that was caught."""
    if not later.frames or not earlier.frames:
        return False
    raised, caught = later.frames[-1], earlier.frames[0]
    return (raised.file, raised.function) == (caught.file, caught.function) and raised.code[:5] in ("raise", "")


def _repeats(later: Raised, earlier: Raised, application: Application) -> bool:
    """Tell whether an exception came up when the same was tried again."""
    places = [application.find_places(raised.frames)[-1:] for raised in (later, earlier)]
    return later.type == earlier.type and places[0] == places[1]
