"""Who may change sessions through a workspace, and what has to be typed for it."""

from __future__ import annotations

import getpass
import os
import re
from collections.abc import Callable
from pathlib import PurePath
from typing import Final

import msgspec

from triggers_nb.errors import ConfirmationRequired, ReadOnlyError, brief
from triggers_nb.storages.base import Mode
from triggers_nb.storages.store import Store

#: The environment of a shared storage of which nothing else is said.
PRODUCTION: Final = "production"

_WORDS: Final = re.compile("[a-z]+")


class Permit:
    """What a `writable` block gives to the handles made in it; it ends with the block, in every thread."""

    __slots__ = ("is_over",)

    def __init__(self) -> None:
        self.is_over = False


class Access(msgspec.Struct, frozen=True, kw_only=True):
    """What a workspace's handles may do."""

    mode: Mode
    #: Name of the environment; None for an embedded storage of which nothing is said.
    env: str | None
    #: What is typed to confirm a change.
    phrase: str
    #: Inside of a `writable` block: what ends with it.
    permit: Permit | None = None

    @property
    def is_production(self) -> bool:
        """Whether every change has to be confirmed."""
        return self.env is not None and any(word.startswith("prod") for word in _WORDS.findall(self.env.lower()))

    @property
    def is_confirmed(self) -> bool:
        """Whether the phrase was typed for the block that this belongs to, which is not over."""
        return self.permit is not None and not self.permit.is_over

    @property
    def handle_mode(self) -> Mode:
        """Mode of handles that are given to people: in production they change something in a `writable` block only."""
        return "read-only" if self.permit is None and self.is_production else self.mode

    @property
    def is_read_only(self) -> bool:
        """Whether nothing can be changed here, whatever is typed."""
        return self.mode != "read-write" or (self.permit is not None and self.permit.is_over)

    def refuse(self, uid: str = "…") -> None:
        """Raise if changes are refused here.

        Raises
        ------
        ReadOnlyError
            In read-only mode, and when a `writable` block is over.
        ConfirmationRequired
            In a production environment, outside of a `writable` block.
        """
        if self.permit is not None:
            if self.permit.is_over:
                raise ReadOnlyError(
                    "the block of ws.writable(…) is over, and with it every handle made in it: nothing was changed. "
                    f"To change something again: {self._block(uid)}"
                )
        elif self.mode != "read-write":
            raise ReadOnlyError(
                f"session {uid!r} was opened read-only: nothing was changed. To change it: {self._block(uid)}"
            )
        elif self.is_production:
            raise ConfirmationRequired(
                f"{self.env!r} is a production environment: nothing was changed. Confirm a single change with "
                f"confirm={self.phrase!r}, or several at once: {self._block(uid)}",
                self.phrase,
            )

    def confirm(self, typed: str | None) -> Access:
        """Return the access of a confirmed change or block.

        Raises
        ------
        ConfirmationRequired
            If another phrase was typed, or none.
        """
        if typed != self.phrase:
            found = "nothing was typed" if typed is None else f"{brief(typed)} was typed"
            raise ConfirmationRequired(
                f"this has to be confirmed: {found}, expected confirm={self.phrase!r}; nothing was changed", self.phrase
            )
        return msgspec.structs.replace(self, mode="read-write", permit=Permit())

    def guard(self, uid: str = "…") -> Callable[[], None] | None:
        """Return what a handle calls before each change; None if nothing will ever be refused here."""
        if self.permit is None and self.mode == "read-write" and not self.is_production:
            return None
        return lambda: self.refuse(uid)

    def _block(self, uid: str) -> str:
        return f"with ws.writable(confirm={self.phrase!r}) as rw: rw[{uid!r}]…"


def make_access(store: Store, mode: str | None, env: str | None) -> Access:
    """Choose mode, environment and phrase for a storage.

    Parameters
    ----------
    store
        The storage.
    mode
        ``"read-write"`` or ``"read-only"``; None: read-write for an embedded storage, read-only for a shared one.
    env
        Name of the environment. A shared storage without one counts as production.

    Raises
    ------
    ValueError
        If there is no such mode, or the environment has no name.
    """
    if mode not in (None, "read-write", "read-only"):
        raise ValueError(f"mode={brief(mode)}: expected 'read-write', 'read-only', or None for the storage's default")
    if env is not None and not (isinstance(env, str) and env.strip()):
        raise ValueError(f"env={brief(env)}: expected the environment's name, such as 'dev', or None")
    chosen: Mode = mode or ("read-write" if store.embedded else "read-only")  # type: ignore[assignment]
    named = env or (None if store.embedded else PRODUCTION)
    return Access(mode=chosen, env=named, phrase=named or _own_phrase(store))


def _own_phrase(store: Store) -> str:
    scheme, _, rest = store.url.partition("://")
    return "memory" if scheme == "memory" else PurePath(rest).name


def current_actor() -> str:
    """Who works here: ``JUPYTERHUB_USER``, else the user of the operating system."""
    hub_user = os.environ.get("JUPYTERHUB_USER")
    if hub_user:
        return hub_user
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return f"uid {os.getuid()}"
