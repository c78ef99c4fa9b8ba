"""Names that are probably typing mistakes, found without comparing every name with every other."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

#: Shorter names are too often alike by chance.
_SHORTEST: Final = 5

#: How trustworthy a name is: whether a task or the application has it, how often it is used, how early it comes.
Rank = tuple[bool, int, int]


def near_misses(uses: Mapping[str, int], known: frozenset[str]) -> Iterator[tuple[str, str]]:
    """Yield (suspicious name, the one that may be meant).

    Two names are near if they differ by one character added, left out, replaced or exchanged with its neighbour, by
    case or by separators; but not if they are merely numbered or lettered.

    Parameters
    ----------
    uses
        All names, and how often each is used.
    known
        Those that are right in any case.

    Examples
    --------
    >>> list(near_misses({"cancelled": 2, "canceled": 1, "gate1": 1, "gate2": 1}, frozenset()))
    [('canceled', 'cancelled')]
    """
    ranks = {name: (name in known, n, -position) for position, (name, n) in enumerate(uses.items())}
    index: dict[str, list[str]] = {}
    for name in ranks:
        for variant in _variants(name):
            index.setdefault(variant, []).append(name)
    for name, rank in ranks.items():
        near = {other for variant in _variants(name) for other in index[variant] if ranks[other] > rank}
        near = {other for other in near if not _are_a_series(name, other)}
        if near and name not in known:
            yield name, max(near, key=ranks.__getitem__)


def family(name: str) -> str:
    """Return a name without its numbers: what ``t_step_01`` and ``t_step_02`` have in common.

    >>> family("t_step_01")
    't_step_…'
    """
    return re.sub(r"\d+", "…", name)


def _variants(name: str) -> set[str]:
    """Return the name, and the name without each of its characters: near names have one of these in common."""
    plain = re.sub(r"[\W_]+", "", name).casefold()
    if len(plain) < _SHORTEST:
        return set()
    return {plain, *(plain[:i] + plain[i + 1 :] for i in range(len(plain)))}


def _are_a_series(one: str, other: str) -> bool:
    """Tell whether names are numbered or lettered (gate1, gate2; gateA, gateB)."""
    lettered = len(one) == len(other) and one[:-1] == other[:-1]
    return lettered or re.findall(r"\d+", one) != re.findall(r"\d+", other)
