"""JSON that people type: kwargs, results, metadata, and patches with a column's values filled in."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from triggers_nb.errors import TriggersError, suggest
from triggers_nb.render.board import cut

#: A string (left alone), or ``{{column}}`` outside of one.
_PARTS: Final = re.compile(r'"(?:[^"\\]|\\.)*"|\{\{\s*(\w+)\s*\}\}')
#: What stands for a column while the text is parsed; as long as ``{{column}}``, so that positions stay.
_MARK: Final = "\ue000"


class JsonProblem(TriggersError, ValueError):
    """Raised when typed JSON cannot be used.

    Attributes
    ----------
    line, column : int
        Where, from 1.
    field : str
        The field of a form that it was typed in, if any.
    """

    def __init__(self, message: str, line: int, column: int) -> None:
        super().__init__(f"line {line}, column {column}: {message}")
        self.line, self.column = line, column
        self.field = ""


class Patch:
    """A patch for many instances: the same for all, or with values from each one's row.

    Attributes
    ----------
    value : dict
        The parsed patch.
    columns : tuple of str
        The columns whose values it takes.

    Examples
    --------
    >>> patch = parse_patch('{"scheduled": {"plane": {{found}}}}', ["found", "task"])
    >>> patch.columns, patch.for_row({"found": "N1"})
    (('found',), {'scheduled': {'plane': 'N1'}})
    """

    def __init__(self, value: dict[str, Any], columns: tuple[str, ...]) -> None:
        self.value, self.columns = value, columns

    def for_row(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return the patch with the values of a row."""
        filled: dict[str, Any] = _fill(self.value, row)
        return filled

    @property
    def argument(self) -> dict[str, Any] | Callable[[Any], dict[str, Any]] | None:
        """What ``plan.replay`` takes as ``merge_kwargs``; None if it changes nothing."""
        if self.columns:
            return self.for_row
        return self.value or None

    def python(self, show: Callable[[Any], Any] = lambda value: value) -> str:
        """The argument as Python; `show` redacts values."""
        if not self.columns:
            return repr(show(self.value))
        return f"lambda row: {_python(show(self.value))}"


def parse_object(text: str) -> dict[str, Any]:
    """Parse a JSON object; nothing typed is an empty one.

    Raises
    ------
    JsonProblem
        With the position. NaN, infinite numbers and keys that occur twice are refused.

    Examples
    --------
    >>> parse_object('{"seats": 178}')
    {'seats': 178}
    >>> parse_object('{"seats": }')
    Traceback (most recent call last):
    triggers_nb.notebook.patches.JsonProblem: line 1, column 11: Expecting value
    """
    if not text.strip():
        return {}
    try:
        value = json.loads(
            text,
            object_pairs_hook=_unique_pairs,
            parse_constant=_refuse_constant,
            parse_float=_finite,
            parse_int=_whole,
        )
    except json.JSONDecodeError as error:
        raise JsonProblem(error.msg, error.lineno, error.colno) from None
    except _Refused as refused:
        raise JsonProblem(str(refused), *_position(text, refused.token)) from None
    except RecursionError:
        raise JsonProblem("nested too deeply", 1, 1) from None
    if not isinstance(value, dict):
        raise JsonProblem(f"expected an object such as {{}}, found {_kind(value)}", 1, 1)
    return value


def parse_patch(text: str, columns: Sequence[str] = ()) -> Patch:
    """Parse a patch in which ``{{column}}`` stands for a value of the row.

    Raises
    ------
    JsonProblem
        If it is no JSON object, or there is no such column.
    """
    used: dict[str, None] = {}

    def mark(found: re.Match[str]) -> str:
        name = found[1]
        if name is None:
            return found[0]
        if name not in columns:
            known = f"columns are {', '.join(columns)}" if columns else "there are no rows with columns here"
            raise JsonProblem(f"no column {name!r}{suggest(name, columns)}; {known}", *_at(text, found.start()))
        used[name] = None
        return f'"{_MARK}{found[0][2:-2]}{_MARK}"'

    marked = _PARTS.sub(mark, text)
    return Patch(parse_object(marked), tuple(used))


class _Refused(ValueError):
    """Valid for Python's parser, but not wanted."""

    def __init__(self, message: str, token: str) -> None:
        super().__init__(message)
        self.token = token


def _unique_pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for key, item in pairs:
        if key in value:
            raise _Refused(f"the key {key!r} occurs twice", json.dumps(key, ensure_ascii=False))
        value[key] = item
    return value


def _refuse_constant(name: str) -> Any:
    raise _Refused(f"{name} is not JSON", name)


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise _Refused(f"the number {text} is too large", text)
    return number


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:  # more digits than Python reads
        raise _Refused(f"the number {cut(text, 20)} is too large", text) from None


def _position(text: str, token: str) -> tuple[int, int]:
    """The last place where the token stands: of two equal keys the second one is meant."""
    return _at(text, max(text.rfind(token), 0))


def _at(text: str, offset: int) -> tuple[int, int]:
    before = text[:offset]
    return before.count("\n") + 1, offset - (before.rfind("\n") + 1) + 1


def _kind(value: object) -> str:
    kinds = {list: "a list", str: "text", bool: "true or false", type(None): "null"}
    return kinds.get(type(value), "a number")


def _column_of(value: object) -> str | None:
    marked = isinstance(value, str) and len(value) > 2 and value[0] == value[-1] == _MARK
    return str(value)[1:-1].strip() if marked else None


def _fill(value: Any, row: Mapping[str, Any]) -> Any:
    if isinstance(value, dict):
        return {key: _fill(item, row) for key, item in value.items()}
    if isinstance(value, list):
        return [_fill(item, row) for item in value]
    column = _column_of(value)
    return value if column is None else plain_value(row[column])


def plain_value(value: Any) -> Any:
    """Return a cell of a frame as plain Python; missing is None."""
    if hasattr(value, "to_pydatetime"):
        return value.to_pydatetime()
    if hasattr(value, "to_pytimedelta"):
        return value.to_pytimedelta()
    if hasattr(value, "item") and not isinstance(value, (str, bytes, datetime, timedelta)):
        value = value.item()
    is_missing = (
        value is None
        or (isinstance(value, float) and math.isnan(value))
        or type(value).__name__
        in (
            "NAType",
            "NaTType",
        )
    )
    return None if is_missing else value


def _python(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key!r}: {_python(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_python, value)) + "]"
    column = _column_of(value)
    return repr(value) if column is None else f"row[{column!r}]"
