"""Where the code of a frame comes from: the application, or a library; and which module it is.

A printed traceback tells files, not modules. Paths differ between machines, so a module is named by what is the same
everywhere: below ``site-packages`` and the standard library by its full name, elsewhere by its file and folder.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Final, Literal

import msgspec

from triggers_nb.analysis.tracebacks import Frame, Traceback

Kind = Literal["application", "package", "standard", "own"]

_PACKAGES: Final = re.compile(r"(?:.*/)?(?:site|dist)-packages/(?:[^/]+\.egg/)?")
_STANDARD: Final = re.compile(r"(?:.*/)?(?:lib(?:64)?/(?:python|pypy)[\d.]+\w?|lib-python/\d|python\d+\.zip)/")
_STANDARD_WINDOWS: Final = re.compile(r"(?:.*/)?(?:Lib|DLLs|python\d+\.zip)/")
_OWN: Final = re.compile(
    r"(?:.*/)?(triggers_nb/(?:(?:core|storages|runners|analysis|render|incidents|notebook|compat)/.*|[^/]+\.py))$"
)
_CELL: Final = re.compile(r"<(?:ipython-input|stdin)|(?:.*/)?ipykernel_\d+/")
_WINDOWS: Final = re.compile(r"[A-Za-z]:/")
_SUFFIX: Final = re.compile(r"(?:/__init__)?\.py[cwx]?$")
_NAME: Final = re.compile(r"[^\W\d]\w*$")
#: Folders that hold code without being a package of it.
_ROOTS: Final = frozenset({"src", "srv", "opt", "tmp", "home", "bin", "lib"})
#: What runs tasks: never the application, even if nothing else can be told.
_MACHINERY: Final = frozenset({"triggers_nb", "triggers", "celery", "kombu", "billiard", "pytest", "_pytest", "pluggy"})
#: Functions that Python 3.12 and newer do not call any more.
_MAX_PATH: Final = 400
_INLINED: Final = frozenset({"<listcomp>", "<dictcomp>", "<setcomp>"})


class Origin(msgspec.Struct, frozen=True):
    """Where the code of a file comes from."""

    kind: Kind
    #: Dotted; what can be told of it from the path.
    module: str

    @property
    def package(self) -> str:
        """The first part of the module's name."""
        return self.module.partition(".")[0]


@lru_cache(maxsize=8192)
def find_origin(file: str, app_prefixes: tuple[str, ...] = ()) -> Origin:
    r"""Tell where the code of a file comes from.

    Parameters
    ----------
    file : str
        Path as a traceback prints it, of any operating system.
    app_prefixes : tuple of str
        The application's folders (``/srv/app``) or packages (``app``, ``app.tasks``). If given, only what is in them
        is the application.

    Examples
    --------
    >>> find_origin("/srv/app/tasks/seats.py")
    Origin(kind='application', module='tasks.seats')
    >>> find_origin(r"C:\Python\Lib\json\decoder.py")
    Origin(kind='standard', module='json.decoder')
    >>> find_origin("/opt/venv/lib/python3.11/site-packages/app/seats.py", ("app",))
    Origin(kind='application', module='app.seats')
    """
    path = file.replace("\\", "/")
    for prefix in app_prefixes:
        if (module := _strip_prefix(path, prefix)) is not None:
            return Origin("application", module)
    kind, module = _classify(path, windows="\\" in file or _WINDOWS.match(file) is not None)
    return Origin("package" if kind == "application" and app_prefixes else kind, module)


def _strip_prefix(path: str, prefix: str) -> str | None:
    """Return the module of a file in a folder or package, or None if it is not in there."""
    if "/" in prefix or "\\" in prefix:
        folder = prefix.replace("\\", "/").rstrip("/") + "/"
        return _dotted(path[len(folder) :]) if path.startswith(folder) else None
    package = prefix.replace(".", "/")
    start = ("/" + path).rfind(f"/{package}/")
    if start < 0 and ("/" + path).endswith(f"/{package}.py"):
        start = len(path) - len(package) - 3
    return _dotted(path[start:]) if start >= 0 else None


def _classify(path: str, *, windows: bool) -> tuple[Kind, str]:
    if _CELL.match(path):
        return "application", "<cell>"
    if path.startswith("<") and path != "<string>":
        return "standard", path
    if found := _OWN.match(path):
        return "own", _dotted(found[1])
    if found := _PACKAGES.match(path):
        module = _dotted(path[found.end() :])
        return ("application" if module.startswith("triggers_nb.demo.") else "package"), module
    if found := (_STANDARD_WINDOWS if windows else _STANDARD).match(path):
        return "standard", _dotted(path[found.end() :])
    return "application", _guess_module(path)


def _guess_module(path: str) -> str:
    """Name a module by its file and the folder it is in, if that can be a package."""
    parts = _SUFFIX.sub("", path).split("/")
    parent = parts[-2] if len(parts) > 1 else ""
    return f"{parent}.{parts[-1]}" if _NAME.match(parent) and parent not in _ROOTS else parts[-1]


def _dotted(path: str) -> str:
    return _SUFFIX.sub("", path).replace("/", ".")


class Application(msgspec.Struct, frozen=True):
    """What counts as the application's code in one traceback."""

    #: As given, if anything of the traceback is in them.
    prefixes: tuple[str, ...] = ()
    #: An installed package, if nothing of the traceback is outside of libraries.
    package: str = ""

    def find_module(self, frame: Frame) -> str | None:
        """Return the module of a frame in the application, None for any other frame."""
        origin = find_origin(frame.file[-_MAX_PATH:], self.prefixes)
        mine = origin.package == self.package if self.package else origin.kind == "application"
        return origin.module if mine and frame.function not in _INLINED else None

    def find_places(self, frames: tuple[Frame, ...]) -> list[str]:
        """Return ``module:function`` of the application's frames, the outermost first."""
        modules = ((self.find_module(frame), frame) for frame in frames)
        return [f"{module}:{frame.function}" for module, frame in modules if module is not None]


def find_application(traceback: Traceback, app_prefixes: tuple[str, ...] = ()) -> Application:
    """Tell what counts as the application's code in a traceback.

    What is in `app_prefixes`. If nothing is, whatever is in no library. If nothing is, the package that was called
    first and is not what runs tasks: an installed application, most likely.
    """
    frames = tuple(_iterate_frames(traceback))
    for prefixes in dict.fromkeys((app_prefixes, ())):
        if Application(prefixes).find_places(frames):
            return Application(prefixes)
    origins = (find_origin(frame.file[-_MAX_PATH:]) for frame in traceback.final.frames)
    packages = (origin.package for origin in origins if origin.kind == "package")
    return Application(package=next((package for package in packages if package not in _MACHINERY), ""))


def _iterate_frames(traceback: Traceback) -> Iterator[Frame]:
    for raised in traceback.exceptions:
        yield from raised.frames
        for member in raised.members:
            yield from _iterate_frames(member)
