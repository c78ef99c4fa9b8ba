"""Exceptions as they are recorded."""

from __future__ import annotations

import traceback
from typing import Any

from triggers_nb.core.codec import encode_value
from triggers_nb.core.records import Raw
from triggers_nb.core.transitions import Failure
from triggers_nb.errors import InvalidValue, brief

#: How much of a message is kept in an instance's own field; the traceback has all of it.
MAX_MESSAGE = 2000
#: How much of a traceback is kept, half from its start and half from its end.
MAX_TRACEBACK = 100_000


def describe(error: BaseException, log_level: int = 0) -> Failure:
    """Describe an exception, its ``context`` (see ``with_context``) included."""
    text = _clean(_traceback(error))
    if len(text) > MAX_TRACEBACK:
        half = MAX_TRACEBACK // 2
        text = f"{text[:half]}\n  … {len(text) - MAX_TRACEBACK} characters left out …\n{text[-half:]}"
    metadata = {"exceptionInfo": Raw(encode_value(text)), "exceptionContext": Raw(_context(error))}
    return Failure(type=type_name(error), message=message_of(error), metadata=metadata, log_level=log_level)


def _traceback(error: BaseException) -> str:
    try:
        return "".join(traceback.format_exception(error))
    except Exception as trouble:
        return f"<traceback cannot be shown: {type(trouble).__name__}>"


def type_name(error: BaseException) -> str:
    """``module.Class`` of an exception."""
    return f"{type(error).__module__}.{type(error).__name__}"


def message_of(error: BaseException) -> str:
    """The message of an exception, without ever failing."""
    try:
        # A KeyError's message is the repr of its key, which says more than the key alone.
        text = str(error)
    except Exception as trouble:
        text = f"<message cannot be shown: {type(trouble).__name__}>"
    text = _clean(text)
    return text if len(text) <= MAX_MESSAGE else text[: MAX_MESSAGE - 1] + "…"


def _context(error: BaseException) -> bytes:
    """Encode what was attached to an exception; what cannot be stored is described."""
    try:
        context: Any = getattr(error, "context", {})
        return encode_value(context, "context")
    except InvalidValue:
        pass
    except Exception as trouble:
        context = trouble
    items = context.items() if isinstance(context, dict) else [("context", context)]
    return encode_value({_clean(key if isinstance(key, str) else brief(key)): _storable(value) for key, value in items})


def _storable(value: object) -> Any:
    try:
        encode_value(value, depth=1)
    except InvalidValue:
        return _clean(brief(value, 1000))
    return value


def _clean(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()
