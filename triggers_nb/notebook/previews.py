"""What a plan would do, as HTML: consequences put together, differences in kwargs, what was not tried out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from triggers_nb.notebook.payloads import as_json
from triggers_nb.render.board import badge
from triggers_nb.render.wording import escaped, plural, shown_name

if TYPE_CHECKING:
    import pandas as pd

    from triggers_nb.plan.actions import Action
    from triggers_nb.plan.plan import Plan

#: Most rows of a preview, and lines of a difference.
MAX_ROWS: Final = 40
MAX_LINES: Final = 40

#: How each action of a preview is said.
_WORDS: Final = {
    "fire": "fires",
    "metadata": "metadata changes",
    "logs": "messages are resolved",
    "configure": "configuration changes",
    "blocked": "still waits",
    "refused": "refused",
    "stopped": "stopped",
    "hook": "hook raised",
}
_CERTAINTY: Final = {"certain": "certain", "if_succeeds": "if it succeeds"}
_BY = ["action", "target", "from_status", "to_status", "trigger", "certainty", "origin", "detail"]


def preview_html(frame: pd.DataFrame) -> str:
    """Return a preview as a table in which equal rows of several sessions are one."""
    shown = frame[(frame["action"] != "not simulated") & ~_is_assumed(frame)]
    if not len(shown):
        return '<p class="tnb-muted">Nothing changes.</p>'
    counted = shown.fillna(dict.fromkeys(_BY, "")).groupby(_BY, sort=False).size()
    keys = counted.index.to_frame().to_dict("records")[:MAX_ROWS]
    rows = [_row(key, int(n)) for key, n in zip(keys, counted, strict=False)]
    more = len(counted) - MAX_ROWS
    rest = f'<p class="tnb-muted">… and {plural(more, "more row")}</p>' if more > 0 else ""
    head = "<tr><th>what happens</th><th>from</th><th>to</th><th>how certain</th></tr>"
    return f'<table class="tnb-preview"><thead>{head}</thead><tbody>{"".join(rows)}</tbody></table>{rest}'


def not_simulated(frame: pd.DataFrame) -> list[str]:
    """Return the hooks that were left out, as ``Class.hook``."""
    return list(dict.fromkeys(frame.loc[frame["action"] == "not simulated", "target"]))


def difference_html(plan: Plan, show: Callable[[Any], Any]) -> str:
    """Return the commonest difference in kwargs, line by line, and how many distinct ones there are."""
    found: dict[str, tuple[Action, int]] = {}
    for action in plan.actions:
        key = "".join(_differing(*_before_and_after(action), ""))
        if key:
            found[key] = (found.get(key, (action, 0))[0], found.get(key, (action, 0))[1] + 1)
    if not found:
        return '<p class="tnb-muted">Kwargs stay as they are stored.</p>'
    action, n = max(found.values(), key=lambda pair: pair[1])
    before, after = map(show, _before_and_after(action))
    lines = list(_differing(before, after, ""))
    more = f'<span class="tnb-muted">… {len(lines) - MAX_LINES} more lines</span>' if len(lines) > MAX_LINES else ""
    distinct = f"1 of {len(found):,} distinct, {n:,} ×" if len(found) > 1 else plural(n, "instance")
    return f'<p class="tnb-muted">difference · {distinct}</p><pre>{"".join(lines[:MAX_LINES])}{more}</pre>'


def _before_and_after(action: Action) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    before = action.stored_kwargs or {}
    return before, action.arguments.get("kwargs") or before


def _is_assumed(frame: pd.DataFrame) -> pd.Series[bool]:
    """That a task succeeds is assumed, not foreseen."""
    return (frame["from_status"].eq("running") & frame["certainty"].eq("if_succeeds")).fillna(False).astype(bool)


def _row(row: Mapping[Any, str], n: int) -> str:
    is_status = bool(row["to_status"]) and row["action"] not in ("logs", "metadata")
    subject = f"<code>{escaped(shown_name(row['target']))}</code>"
    said = subject if is_status else f"{escaped(_WORDS.get(row['action'], row['action']))} {subject}"
    if row["action"] == "blocked":
        said = f"{subject} still waits for <code>{escaped(row['trigger'])}</code>"
    if row["action"] == "session":
        said = _session_change(row["target"])
    times = f'<span class="tnb-n">{n:,} ×</span> ' if n > 1 else ""
    detail = f'<div class="tnb-muted">{escaped(row["detail"])}</div>' if row["detail"] else ""
    before = (
        badge(row["from_status"]) if row["from_status"] and is_status else ("new" if row["action"] == "create" else "")
    )
    after = badge(row["to_status"]) if is_status else ""
    origin = "" if row["origin"] == "direct" else f"<br>{escaped(row['origin'])}"
    how = _CERTAINTY.get(row["certainty"], row["certainty"])
    css = ' class="tnb-refused"' if row["action"] in ("refused", "stopped", "hook") else ""
    return (
        f"<tr{css}><td>{times}{said}{detail}</td><td>{before}</td><td>{after}</td>"
        f'<td class="tnb-muted">{escaped(how)}{origin}</td></tr>'
    )


def _session_change(target: str) -> str:
    if target == "metadata":
        return "the session's metadata changes"
    return f"the session's manager becomes {f'<code>{escaped(target)}</code>' if target else 'one without a key'}"


def _differing(before: Any, after: Any, indent: str) -> Iterator[str]:
    keys = [*before, *(key for key in after if key not in before)]
    for key in keys:
        old, new = before.get(key, _ABSENT), after.get(key, _ABSENT)
        if old is not _ABSENT and new is not _ABSENT and type(old) is type(new) and old == new:
            continue
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            yield f"{indent}{escaped(key)}:\n"
            yield from _differing(old, new, indent + "  ")
            continue
        if old is not _ABSENT:
            yield f"<del>{indent}- {escaped(key)}: {_value(old)}</del>\n"
        if new is not _ABSENT:
            yield f"<ins>{indent}+ {escaped(key)}: {_value(new)}</ins>\n"


def _value(value: Any) -> str:
    text = " ".join(as_json(value).split())
    return escaped(text if len(text) <= 200 else text[:199] + "…")


_ABSENT: Final = object()
