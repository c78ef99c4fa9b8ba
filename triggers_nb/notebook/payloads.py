"""Values of a session as folded JSON in HTML: what is huge is cut, and says how to get the rest."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from triggers_nb.errors import brief
from triggers_nb.render.wording import escaped, plural

#: Most items of a container, characters of a text, and levels, that are shown at first.
MAX_ITEMS: Final = 50
MAX_TEXT: Final = 500
MAX_DEPTH: Final = 12
#: Most entries of a whole value.
MAX_NODES: Final = 400
#: Most characters of a container that is shown in one line.
MAX_INLINE: Final = 320


def as_json(value: Any) -> str:
    """A value as indented JSON; what JSON has no form for is written as text."""
    return json.dumps(value, indent=2, ensure_ascii=False, default=_text_of, sort_keys=False)


def fold(value: Any, *, get_all: str = "") -> str:
    """Return a (redacted) value as HTML, its containers in ``<details>``.

    Parameters
    ----------
    value
        Anything made of mappings, lists and plain values.
    get_all
        What has to be called for the whole value, if it is cut: Python.

    Examples
    --------
    >>> print(fold({"seats": 178}))
    <div class="tnb-json"><code>{<b>seats</b>: 178}</code></div>
    """
    folding = _Folding()
    inner = folding.entry(value, 0)
    hint = f" All of it: <code>{escaped(get_all)}</code>" if get_all else ""
    cut = f'<p class="tnb-muted">Cut: {plural(folding.n_cut, "part")} left out.{hint}</p>' if folding.n_cut else ""
    return f'<div class="tnb-json">{inner}{cut}</div>'


class _Folding:
    """One value on its way to HTML."""

    def __init__(self) -> None:
        self.n_nodes = self.n_cut = 0

    def entry(self, value: Any, depth: int) -> str:
        self.n_nodes += 1
        if not isinstance(value, (Mapping, list, tuple, set, frozenset)) or not value:
            return f"<code>{self._plain(value)}</code>"
        line = _inline(value)
        if line is not None:
            return f"<code>{line}</code>"
        if depth >= MAX_DEPTH or self.n_nodes > MAX_NODES:
            self.n_cut += 1
            return "<code>…</code>"
        items = list(value.items()) if isinstance(value, Mapping) else list(enumerate(value))
        rows = "".join(
            f"<li><b>{escaped(_key(key))}</b>: {self.entry(item, depth + 1)}</li>" for key, item in items[:MAX_ITEMS]
        )
        if len(items) > MAX_ITEMS:
            self.n_cut += 1
            rows += f'<li class="tnb-muted">… {len(items) - MAX_ITEMS:,} more</li>'
        noun = "key" if isinstance(value, Mapping) else "item"
        is_open = " open" if depth < 2 else ""
        return f"<details{is_open}><summary>{plural(len(items), noun)}</summary><ul>{rows}</ul></details>"

    def _plain(self, value: Any) -> str:
        text = _literal(value)
        if len(text) > MAX_TEXT:
            self.n_cut += 1
            return f"{escaped(text[:MAX_TEXT])}… ({len(text):,} characters)"
        return escaped(text)


def _key(key: Any) -> str:
    text = str(key)
    return text if len(text) <= MAX_INLINE else text[: MAX_INLINE - 1] + "…"


def _inline(value: Any) -> str | None:
    """A small container of plain values in one line."""
    if len(value) > 16:
        return None
    is_mapping = isinstance(value, Mapping)
    items = list(value.items()) if is_mapping else [("", item) for item in value]
    if any(isinstance(item, (Mapping, list, tuple, set, frozenset)) and item for _, item in items):
        return None
    parts = [(str(key), _literal(item)) for key, item in items]
    if sum(len(key) + len(text) + 4 for key, text in parts) > MAX_INLINE:
        return None
    said = ", ".join((f"<b>{escaped(key)}</b>: " if is_mapping else "") + escaped(text) for key, text in parts)
    return f"{{{said}}}" if is_mapping else f"[{said}]"


def _literal(value: Any) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, default=_text_of)
    except (ValueError, TypeError, RecursionError):
        return brief(value)


def _text_of(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, (set, frozenset, tuple)):
        return list(value)
    return brief(value)
