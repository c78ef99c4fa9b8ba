"""What is known of one instance, as HTML: why, the traceback, kwargs and result, lineage, times."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from triggers_nb.analysis.explain import Explanation, Situation
from triggers_nb.core.instances import TaskInstance
from triggers_nb.notebook.payloads import fold
from triggers_nb.notebook.stories import traceback_html
from triggers_nb.redaction import Redactor
from triggers_nb.render.board import badge, moment_text
from triggers_nb.render.theme import style_of
from triggers_nb.render.wording import duration, escaped, shown_name

#: Metadata that has a place of its own in the detail.
_OWN: Final = frozenset(
    [
        "timestamps",
        "parent",
        "depth",
        "logLevel",
        "logsResolved",
        "exceptionType",
        "exceptionMessage",
        "exceptionInfo",
        "exceptionContext",
        "result",
        "actualKwargs",
        "cascade",
    ]
)


def detail_html(
    uid: str, instance: TaskInstance, situation: Situation, parents: Mapping[str, str], redactor: Redactor
) -> str:
    """Return the detail of an instance; `parents` says what each replay is a replay of."""
    metadata = instance.metadata
    parts = [_head(uid, instance, parents), why_html(situation.explain(instance.name))]
    if metadata.get("exceptionInfo"):
        parts.append(traceback_html(redactor.text(str(metadata["exceptionInfo"]))))
    get = f"ws[{uid!r}].storage[{instance.name!r}]"
    parts.append(_payload("kwargs", instance.kwargs, redactor, f"{get}.kwargs", is_open=True))
    for key, caption in (("result", "result"), ("exceptionContext", "context of the exception")):
        if metadata.get(key) is not None:
            parts.append(_payload(caption, metadata[key], redactor, f"{get}.metadata[{key!r}]"))
    others = {key: value for key, value in metadata.items() if key not in _OWN}
    if others:
        parts.append(_payload("metadata", others, redactor, f"{get}.metadata"))
    parts.append(
        f'<details class="tnb-fold"><summary>times</summary>{_times(metadata.get("timestamps", {}))}</details>'
    )
    return "".join(parts)


def why_html(explanation: Explanation) -> str:
    """Return an explanation on the tint of its status."""
    css = style_of(explanation.status).css
    return f'<p class="tnb-why tnb-s-{css}">{escaped(explanation.sentence)}</p>'


def lineage(name: str, parents: Mapping[str, str]) -> list[str]:
    """Return an instance with all that it is a replay of and all replays that led on from it, the oldest first.

    >>> lineage("t_a#1", {"t_a#1": "t_a#0", "t_a#2": "t_a#1", "t_b#1": "t_b#0"})
    ['t_a#0', 't_a#1', 't_a#2']
    """
    first, seen = name, {name}
    while first in parents and parents[first] not in seen:
        first = parents[first]
        seen.add(first)
    clones: dict[str, list[str]] = {}
    for clone, parent in parents.items():
        clones.setdefault(parent, []).append(clone)
    line = [first]
    for each in line:
        line += [clone for clone in clones.get(each, ()) if clone not in line]
    return line


def _head(uid: str, instance: TaskInstance, parents: Mapping[str, str]) -> str:
    facts = " ".join(_facts(instance))
    family = lineage(instance.name, parents)
    said = ""
    if len(family) > 1:
        said = f'<span class="tnb-lineage">lineage {" → ".join(_link(each, instance.name) for each in family)}</span>'
    return (
        f'<div class="tnb-dhead"><span><span class="tnb-muted">{escaped(shown_name(uid))} ·</span> '
        f"<b>{escaped(shown_name(instance.name))}</b> {badge(instance.status)} {facts}</span>{said}</div>"
    )


def _link(name: str, current: str) -> str:
    label = "#" + name.rpartition("#")[2]
    if name == current:
        return f"<b>{escaped(label)}</b>"
    return f'<button class="tnb-link" data-do="select" data-id="{escaped(name)}">{escaped(label)}</button>'


def _facts(instance: TaskInstance) -> Iterator[str]:
    if instance.log_level > logging.NOTSET:
        word = "" if instance.log_level < TaskInstance.LOG_LEVEL_THRESHOLD else ", resolved"
        word = word if instance.logs_resolved else ", open"
        css = "failed" if instance.log_level >= logging.ERROR and not instance.logs_resolved else "unstarted"
        yield f'<span class="tnb-chip tnb-s-{css}">log {escaped(instance.log_level_name)}{word}</span>'


def _payload(caption: str, value: Any, redactor: Redactor, get: str, *, is_open: bool = False) -> str:
    inner = fold(redactor.value(value), get_all=get)
    is_open = is_open and bool(value)
    return f'<details class="tnb-fold"{" open" * is_open}><summary>{caption}</summary>{inner}</details>'


def _times(stamps: Mapping[str, datetime]) -> str:
    rows = sorted(((moment, name) for name, moment in stamps.items() if isinstance(moment, datetime)))
    cells = []
    before: datetime | None = None
    for moment, name in rows:
        after = f"+ {duration(moment - before)}" if before else ""
        cells.append(f"<tr><td>{escaped(name)}</td><td>{moment_text(moment)}</td><td>{after}</td></tr>")
        before = moment
    return f'<table class="tnb-preview">{"".join(cells)}</table>'
