"""``%load_ext triggers_nb`` and ``%triggers …``: lines that are parsed here, and done by the API."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from IPython.core.error import UsageError
from IPython.core.magic import Magics, line_magic, magics_class

from triggers_nb.errors import suggest
from triggers_nb.workspace import Workspace, connect

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

_USAGE: Final = """\
%triggers connect [URL]        connect, and keep the workspace as ws
%triggers sessions [PATTERN]   ws.sessions(…)
%triggers failures [PATTERN]   ws.failures(…)
%triggers groups [PATTERN]     ws.failure_groups(…)
%triggers show UID             ws[UID]"""


@magics_class
class TriggersMagics(Magics):
    """``%triggers``. Needs a workspace named ``ws``: ``%triggers connect`` makes one."""

    @line_magic
    def triggers(self, line: str) -> Any:
        """Do what the line says, and return what the API returns."""
        words = _split(line)
        if not words:
            raise UsageError(_USAGE)
        command, arguments = words[0], words[1:]
        if command not in _COMMANDS:
            raise UsageError(f"no command {command!r}{suggest(command, _COMMANDS)}\n{_USAGE}")
        do, least, most = _COMMANDS[command]
        if not least <= len(arguments) <= most:
            raise UsageError(f"{command}: got {len(arguments)} arguments\n{_USAGE}")
        if command == "connect":
            workspace = connect(*arguments)
            self._names()["ws"] = workspace
            return workspace
        return do(self._workspace(), *arguments)

    def _names(self) -> dict[str, Any]:
        assert self.shell is not None
        names: dict[str, Any] = self.shell.user_ns
        return names

    def _workspace(self) -> Workspace:
        workspace = self._names().get("ws")
        if not isinstance(workspace, Workspace):
            raise UsageError("there is no workspace named ws: begin with %triggers connect URL, or ws = tnb.connect(…)")
        return workspace


def _split(line: str) -> Sequence[str]:
    try:
        return shlex.split(line)
    except ValueError as error:
        raise UsageError(f"{error}: {line}") from None


#: What each command does, and how many arguments it takes.
_COMMANDS: Final[dict[str, tuple[Callable[..., Any], int, int]]] = {
    "connect": (connect, 0, 1),
    "sessions": (Workspace.sessions, 0, 1),
    "failures": (Workspace.failures, 0, 1),
    "groups": (Workspace.failure_groups, 0, 1),
    "show": (Workspace.__getitem__, 1, 1),
}


def load(shell: InteractiveShell) -> None:
    """Register the magic; called by ``%load_ext triggers_nb``."""
    shell.register_magics(TriggersMagics)
