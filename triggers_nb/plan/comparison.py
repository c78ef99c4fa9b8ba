"""Comparing two previews: of two managers, two plans, or the same plan at two moments."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import pandas as pd

from triggers_nb.plan.frames import COMPARISON, PREVIEW

BOTH, FIRST, SECOND = "both", "first", "second"


def compare(first: pd.DataFrame, second: pd.DataFrame) -> pd.DataFrame:
    """Compare two previews row by row.

    A row is the same in both if all of its columns are, wherever it stands; equal rows are paired one by one.

    Parameters
    ----------
    first, second : pandas.DataFrame
        What ``plan.preview(…)`` returned.

    Returns
    -------
    pandas.DataFrame
        A row for each row of either: ``found_in`` (string: both, first or second), then the columns of a preview. In
        the order of `first`; what is only in `second` stands behind what
        comes before it there.

    Raises
    ------
    ValueError
        If one of them is no preview.

    Examples
    --------
    >>> import triggers_nb as tnb
    >>> ws = tnb.connect("memory://compare-example")
    >>> s = ws.create("order-17", {"t_ship": {"after": ["paid"], "run": "app.Ship"}})
    >>> plan = s.plan.fire("paid", {"amount": 20})
    >>> difference = tnb.compare(plan.preview(), plan.preview(outcomes={"t_ship": ValueError("no stamp")}))
    >>> difference.loc[difference["action"].eq("status"), ["found_in", "target", "to_status"]].to_dict("records")
    [{'found_in': 'first', 'target': 't_ship#0', 'to_status': 'finished'},
     {'found_in': 'second', 'target': 't_ship#0', 'to_status': 'failed'}]
    """
    rows, others = _rows(first, "first"), _rows(second, "second")
    pairs = _pair(rows, others)
    ends = _ends_of_removals(rows, set(pairs.values()))
    starts: dict[Any, int] = {}
    for position, row in enumerate(rows):
        starts.setdefault(row["session_uid"], position)
    #: (position in the first, 0 or 1, position in the second): where a row stands in the result.
    placed = [((at, 0, 0), row, FIRST) for at, row in enumerate(rows)]
    for at in pairs.values():
        placed[at] = (*placed[at][:2], BOTH)
    behind = -1
    for position, row in enumerate(others):
        if position in pairs:
            behind = pairs[position]
            continue
        if behind < 0 or rows[behind]["session_uid"] != row["session_uid"]:
            behind = starts.get(row["session_uid"], len(rows) + 1) - 1
        placed.append(((ends.get(behind, behind), 1, position), row, SECOND))
    placed.sort(key=lambda each: each[0])
    columns: dict[str, list[Any]] = {name: [row[name] for _, row, _ in placed] for name in PREVIEW.names}
    return COMPARISON.frame({"found_in": [found_in for _, _, found_in in placed], **columns})


def _pair(rows: Sequence[Mapping[str, Any]], others: Sequence[Mapping[str, Any]]) -> dict[int, int]:
    """Position in the second → position in the first, of rows that are the same."""
    unpaired: dict[Any, deque[int]] = defaultdict(deque)
    for position, row in enumerate(rows):
        unpaired[_frozen(row)].append(position)
    keys = [_frozen(row) for row in others]
    return {position: unpaired[key].popleft() for position, key in enumerate(keys) if unpaired[key]}


def _ends_of_removals(rows: Sequence[Mapping[str, Any]], paired: Collection[int]) -> dict[int, int]:
    """For each row, the last of those behind it, in its session, that are only in the first."""
    ends: dict[int, int] = {}
    for at in range(len(rows) - 2, -1, -1):
        goes_on = at + 1 not in paired and rows[at + 1]["session_uid"] == rows[at]["session_uid"]
        ends[at] = ends.get(at + 1, at + 1) if goes_on else at
    return ends


def _rows(frame: pd.DataFrame, name: str) -> list[dict[str, Any]]:
    missing = set(PREVIEW.names) - set(getattr(frame, "columns", ()))
    if missing:
        raise ValueError(f"{name} has no column {', '.join(sorted(missing))}: expected what plan.preview() returned")
    return frame[PREVIEW.names].to_dict("records")  # type: ignore[return-value]


def _frozen(value: Any) -> Any:
    """A value that is equal and hashable when the values are equal, of the same types."""
    if isinstance(value, Mapping):
        return ("mapping", tuple(sorted((key, _frozen(each)) for key, each in value.items())))
    if isinstance(value, (list, tuple)):
        return ("list", tuple(_frozen(each) for each in value))
    if isinstance(value, (set, frozenset)):
        return ("set", tuple(sorted(map(repr, value))))
    return (type(value).__name__, repr(value))
