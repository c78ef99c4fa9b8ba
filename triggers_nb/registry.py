"""Managers, storages and runners by key: from entry points, each loaded when asked for, or registered at run time."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import EntryPoint, entry_points
from threading import RLock
from typing import Any, Generic, TypeVar

import msgspec

from triggers_nb.errors import RegistryError, UnknownKey, brief, suggest

T = TypeVar("T")
C = TypeVar("C", bound=type)

#: On equal keys this distribution's own entry points win: nobody takes `default` from under an application.
_OWN_DISTRIBUTION = "triggers-nb"


class RegistryEntry(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one key."""

    #: The key it is asked for by.
    key: str
    #: ``module:Class`` as the entry point says, or of the class that was registered at run time.
    target: str
    #: Name and version of the distribution that brings it; None when registered at run time.
    distribution: str | None = None
    version: str | None = None
    #: The class, or None when it cannot be loaded.
    cls: type | None = None
    #: Why it cannot be loaded, as ``ExceptionType: message``.
    error: str | None = None
    #: What is odd about the key, such as two distributions that both bring it.
    issue: str | None = None
    #: Registered at run time: other processes cannot load it.
    is_local: bool = False


class _Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """An entry point that was found, and what else claims its key."""

    point: EntryPoint
    distribution: str | None
    version: str | None
    issue: str | None = None

    def named(self) -> str:
        return f"{self.point.value} of {self.distribution or 'an unnamed distribution'} {self.version or ''}".rstrip()


class Registry(Generic[T]):
    """Classes by key.

    Keys come from an entry-point group of the installed distributions, and from `register`, which a notebook cell
    may use. An entry point is loaded when its key is asked for; a broken one never breaks the others. All methods
    may be called from several threads.

    Parameters
    ----------
    group
        The entry-point group, such as ``triggers.managers``.
    base
        The class that every registered class must derive from, if there is one.

    Examples
    --------
    >>> runners = Registry("example.runners")
    >>> @runners.register("inline")
    ... class InlineRunner:
    ...     pass
    >>> runners.get_class("inline") is InlineRunner, runners.key_of(InlineRunner), runners.is_local("inline")
    (True, 'inline', True)
    >>> runners.get("inlin")
    Traceback (most recent call last):
    triggers_nb.errors.UnknownKey: no runner is registered as 'inlin'. Did you mean 'inline'? (Known: 'inline'.)
    """

    def __init__(self, group: str, base: type[T] | None = None) -> None:
        self.group = group
        #: What the group holds, for messages: ``manager``.
        self.kind = group.rpartition(".")[2].removesuffix("s")
        self._base = base
        self._lock = RLock()
        #: Key → class, of all that was loaded or registered; existing code injects classes here.
        self._cache: dict[str, type[T]] = {}
        #: Key → class, registered at run time.
        self._registered: dict[str, type[T]] = {}
        #: Key → class that its entry point gave.
        self._loaded: dict[str, type[T]] = {}
        #: Keys whose entry point did not load when it was last tried.
        self._broken: dict[str, str] = {}
        self._candidates: dict[str, _Candidate] | None = None

    def __repr__(self) -> str:
        return f"Registry({self.group!r}, keys={self.keys()!r})"

    def __contains__(self, key: object) -> bool:
        return key in self._cache or key in self._found()

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def __len__(self) -> int:
        return len(self.keys())

    def keys(self) -> list[str]:
        """Return every key, sorted; nothing is loaded."""
        with self._lock:
            return sorted({*self._found(), *self._cache})

    def get(self, key: str, *args: Any, **kwargs: Any) -> T:
        """Return a new instance of the class of that key, made with the other arguments.

        Raises
        ------
        UnknownKey
            Nothing is registered under that key.
        RegistryError
            Its entry point cannot be loaded.
        """
        return self.get_class(key)(*args, **kwargs)

    def get_class(self, key: str) -> type[T]:
        """Return the class of that key, loading it if need be; errors as for `get`."""
        cls = self._cache.get(key)
        return cls if cls is not None else self._load(key)

    def register(self, key: str) -> Callable[[C], C]:
        """Return a decorator that registers a class in this process; the same key again replaces it."""
        if not isinstance(key, str) or not key:
            raise RegistryError(
                f"{self.kind}: the key must be a non-empty str, got {brief(key)}; "
                f"write @….register('my_key') above the class"
            )

        def decorate(cls: C) -> C:
            self._check(key, cls)
            with self._lock:
                self._cache[key] = self._registered[key] = cls
            return cls

        return decorate

    def unregister(self, key: str) -> None:
        """Forget what `register` registered; an entry point of the same key is visible again.

        Raises
        ------
        UnknownKey
            The key was not registered at run time.
        """
        with self._lock:
            if key not in self._registered:
                raise UnknownKey(self._unknown(key, self._registered, "was registered at run time as"))
            del self._registered[key]
            self._cache.pop(key, None)

    def key_of(self, cls: type) -> str | None:
        """Return the key of exactly this class, never a parent's; None when it has none.

        A key that other processes know is preferred to one that was registered at run time.
        """
        known = self._key_in_cache(cls)
        if known is not None and not self.is_local(known):
            return known
        found = self._found()
        for key in sorted(found, key=lambda key: found[key].point.value != _target(cls)):
            if key not in self._cache and key not in self._broken and self._try_load(key) is cls:
                return key
        return known

    def knows(self, key: str, cls: type) -> bool:
        """Tell whether a class is the one of that key, as far as that is known without loading anything."""
        return self._cache.get(key) is cls

    def is_local(self, key: str) -> bool:
        """Tell whether other processes would not find this process's class under that key."""
        cls = self._cache.get(key)
        return cls is not None and cls is not self._loaded.get(key)

    def entries(self) -> list[RegistryEntry]:
        """Load everything and return one record per key, sorted by key; what does not load carries its error."""
        return [self._entry(key) for key in self.keys()]

    def refresh(self) -> None:
        """Forget what was loaded or injected and read the entry points anew; run-time registrations stay."""
        importlib.invalidate_caches()
        with self._lock:
            self._candidates = None
            self._loaded.clear()
            self._broken.clear()
            self._cache.clear()
            self._cache.update(self._registered)

    def _get_cache(self) -> dict[str, type[T]]:
        """Return the dict key → class in use, into which a class may be injected until the next `refresh`."""
        return self._cache

    def _found(self) -> dict[str, _Candidate]:
        with self._lock:
            if self._candidates is None:
                self._candidates = _choose(entry_points(group=self.group))
            return self._candidates

    def _load(self, key: str) -> type[T]:
        candidate = self._found().get(key)
        if candidate is None:
            raise UnknownKey(self._unknown(key, self.keys(), "is registered as"))
        # Not under the lock: an import may wait for another thread whose import asks this registry.
        try:
            cls = candidate.point.load()
            self._check(key, cls)
        except (Exception, SystemExit) as error:
            self._broken[key] = f"{type(error).__name__}: {error}"
            raise RegistryError(
                f"the {self.kind} {key!r} ({candidate.named()}) cannot be loaded: {self._broken[key]}; "
                f"mend or reinstall that distribution, the other keys are not affected"
            ) from error
        with self._lock:
            self._broken.pop(key, None)
            self._loaded[key] = cls
            return self._cache.setdefault(key, cls)

    def _try_load(self, key: str) -> type[T] | None:
        try:
            return self.get_class(key)
        except RegistryError:
            return None

    def _check(self, key: str, cls: object) -> None:
        if not isinstance(cls, type):
            raise RegistryError(f"{self.kind} {key!r}: expected a class, got {brief(cls)}")
        if self._base is not None and not issubclass(cls, self._base):
            raise RegistryError(
                f"{self.kind} {key!r}: expected a subclass of {_target(self._base)}, got {_target(cls)}"
            )

    def _key_in_cache(self, cls: type) -> str | None:
        keys = [key for key, known in self._cache.copy().items() if known is cls]
        return min(keys, key=lambda key: (self.is_local(key), key), default=None)

    def _entry(self, key: str) -> RegistryEntry:
        cls, candidate, is_local = self._try_load(key), self._found().get(key), self.is_local(key)
        if candidate is None or is_local:
            issue = f"hides {candidate.named()}" if candidate else None
            return RegistryEntry(key=key, target=_target(cls), cls=cls, issue=issue, is_local=True)
        return RegistryEntry(
            key=key,
            target=candidate.point.value,
            distribution=candidate.distribution,
            version=candidate.version,
            cls=cls,
            error=None if cls else self._broken.get(key),
            issue=candidate.issue,
        )

    def _unknown(self, key: object, known: Iterable[str], what: str) -> str:
        names = sorted(known)
        there = f"Known: {', '.join(map(repr, names))}" if names else "None is known"
        return f"no {self.kind} {what} {brief(key)}{suggest(str(key), names)} ({there}.)"


def _choose(points: Iterable[EntryPoint]) -> dict[str, _Candidate]:
    """Choose one entry point per key: this distribution's own, else the first by distribution name and target."""
    by_key: dict[str, list[_Candidate]] = {}
    for point in points:
        name, version = (point.dist.name, point.dist.version) if point.dist else (None, None)
        candidate = _Candidate(point=point, distribution=name, version=version)
        by_key.setdefault(point.name, []).append(candidate)
    return {key: _first(candidates) for key, candidates in by_key.items()}


def _first(candidates: list[_Candidate]) -> _Candidate:
    chosen, *others = sorted(candidates, key=_precedence)
    rivals = [other.named() for other in others if other.point.value != chosen.point.value]
    if not rivals:
        return chosen
    return msgspec.structs.replace(chosen, issue=f"{chosen.named()} is used; also claimed by {', '.join(rivals)}")


def _precedence(candidate: _Candidate) -> tuple[bool, str, str]:
    name = (candidate.distribution or "").lower()
    return (name != _OWN_DISTRIBUTION, name, candidate.point.value)


def _target(cls: type | None) -> str:
    return f"{cls.__module__}:{cls.__qualname__}" if cls else "unknown"
