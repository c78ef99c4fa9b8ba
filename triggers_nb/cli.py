"""The command ``triggers-nb``.

A command is a row of `COMMANDS`: what its help says, what arguments it takes, and the function that does it. What it
prints on standard output is its result, as tables or, with ``--json``, as JSON alone; everything else goes to standard
error. Exit codes: 0 done, 1 failed, 2 asked for something that cannot be, 130 interrupted.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from triggers_nb import __version__
from triggers_nb import cli_reading as reading
from triggers_nb.cli_reading import BadInput
from triggers_nb.core.status import STATUSES
from triggers_nb.errors import CredentialsWarning, ResultsTruncated, StorageUrlError, TriggersError, UnknownKey, brief

if TYPE_CHECKING:
    import pandas as pd

OK: Final = 0
FAILURE: Final = 1
USAGE: Final = 2
INTERRUPTED: Final = 130

#: How long numbers may be that are asked for.
MAX_DIGITS: Final = 9


class Command(NamedTuple):
    """One row of the table of commands."""

    #: A line for the overview.
    help: str
    #: Adds the command's own arguments.
    add_arguments: Callable[[argparse.ArgumentParser], None]
    #: Does it, and returns the exit code.
    run: Callable[[argparse.Namespace], int]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; errors are told in a line on standard error."""
    args = _parser().parse_args(argv)
    try:
        with warnings.catch_warnings():
            warnings.showwarning = lambda message, category, *_: _warn(args, message, category)
            return COMMANDS[args.command].run(args)
    except (BadInput, StorageUrlError, UnknownKey) as error:
        return _complain(args, error, USAGE)
    except (TriggersError, ImportError, OSError) as error:
        return _complain(args, error, FAILURE)
    except KeyboardInterrupt:
        return _complain(args, "interrupted", INTERRUPTED)


def _complain(args: argparse.Namespace, problem: object, code: int) -> int:
    if isinstance(problem, BrokenPipeError):  # who reads the output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return code
    _say(args, problem)
    return code


def _warn(args: argparse.Namespace, message: object, category: type[Warning]) -> None:
    if issubclass(category, CredentialsWarning):
        message = "who lists processes sees the password of the URL: set TRIGGERS_URL instead of passing --url"
    _say(args, f"warning: {message}")


def _say(args: argparse.Namespace, text: object) -> None:
    print(f"triggers-nb {args.command}: {text}", file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="triggers-nb", description="Trigger sessions from the command line.")
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="command")
    for name, command in COMMANDS.items():
        command.add_arguments(subparsers.add_parser(name, help=command.help, description=command.help))
    return parser


def add_url(parser: argparse.ArgumentParser) -> None:
    """Add the argument ``--url`` that most commands take."""
    parser.add_argument(
        "--url", help="storage, such as sqlite:///day.db (default: TRIGGERS_URL, else triggers.db here)"
    )


def add_json(parser: argparse.ArgumentParser) -> None:
    """Add the argument ``--json`` that every command with a result takes."""
    parser.add_argument("--json", action="store_true", help="print JSON and nothing else")


def print_json(value: object) -> None:
    """Print a value as one line of JSON."""
    print(json.dumps(value, ensure_ascii=False))


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]], *, title: str | None = None) -> None:
    """Print rows as a table; ints are aligned right, None is an empty cell, markup in a text is text."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title and Text(title), title_justify="left")
    for index, column in enumerate(columns):
        is_number = bool(rows) and all(isinstance(row[index], int | None) for row in rows)
        table.add_column(Text(column), justify="right" if is_number else "left")
    for row in rows:
        table.add_row(
            *(Text("" if cell is None else f"{cell:,}" if isinstance(cell, int) else str(cell)) for cell in row)
        )
    # In a file or a pipe nothing is cut to a terminal's width.
    Console(width=None if sys.stdout.isatty() else 1000).print(table)


def _day(text: str) -> date:
    from triggers_nb.demo.data import YEAR

    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected a day as YYYY-MM-DD, got {text!r}") from None
    if day.year != YEAR:
        raise argparse.ArgumentTypeError(f"expected a day of {YEAR}, the year of the data, got {text}")
    return day


def _at_least_one(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS and int(text) > 0):
        raise argparse.ArgumentTypeError(
            f"expected a whole number from 1 on, got {brief(text)}" + (", too long" if len(text) > MAX_DIGITS else "")
        )
    return int(text)


def _moment(text: str) -> str:
    from triggers_nb.analysis.selection import parse_moment

    try:
        parse_moment(text, 0)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


def _demo_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--date",
        type=_day,
        default="2013-02-08",
        metavar="YYYY-MM-DD",
        help="a day of 2013 (default: %(default)s, a blizzard)",
    )
    add_url(parser)
    parser.add_argument("--manager", default="flights", metavar="KEY", help="trigger manager (default: %(default)s)")
    parser.add_argument("--limit", type=_at_least_one, metavar="N", help="only the day's first N flights")
    add_json(parser)


def _demo(args: argparse.Namespace) -> int:
    import msgspec
    from tqdm import tqdm

    from triggers_nb.demo.day import run_day

    progress = partial(tqdm, file=sys.stderr, disable=None)
    result = run_day(args.date, url=args.url, manager=args.manager, limit=args.limit, progress=progress)
    if args.json:
        print_json(msgspec.to_builtins(result))
        return OK
    present = [status for status in STATUSES if any(status in counts for counts in result.by_task.values())]
    rows = [[task, *map(counts.get, present), sum(counts.values())] for task, counts in result.by_task.items()]
    print_table(["task", *present, "instances"], rows, title=f"{args.date}: {result.sessions} flights")
    return OK


def _recover_arguments(parser: argparse.ArgumentParser) -> None:
    add_url(parser)
    parser.add_argument("--limit", type=_at_least_one, metavar="N", help="at most N items (default: all that are due)")
    parser.add_argument(
        "--celery-app",
        metavar="MODULE:NAME",
        help="the Celery application that takes the work, such as proj.celery:app",
    )
    parser.add_argument("--runner", metavar="KEY", help="task runner where nothing else says one (celery, threading)")
    parser.add_argument(
        "--import",
        dest="modules",
        action="append",
        default=[],
        metavar="MODULE",
        help="a module that defines tasks; needed if they run in threads of this process",
    )
    add_json(parser)


def _recover(args: argparse.Namespace) -> int:
    from triggers_nb.recovery import recover
    from triggers_nb.storages.urls import default_url, open_store

    store = open_store(default_url() if args.url is None else args.url, must_exist=True)
    sys.path.insert(0, str(Path.cwd()))  # as Celery does
    for module in args.modules:
        _load("--import", module, import_module)
    runner = args.runner or ("celery" if args.celery_app else None)
    if args.celery_app:
        _load("--celery-app", args.celery_app, _find_app)
    done = recover(store, limit=args.limit, runner=runner, celery_app=args.celery_app)
    if args.json:
        print_json(done)
    else:
        print_table(["outcome", "items"], sorted(done.items()))
    return FAILURE if done.keys() & {"failed", "out of reach"} else OK


def _find_app(name: str) -> object:
    from triggers_nb.runners.celery import find_app

    return find_app(name)


def _load(option: str, name: str, load: Callable[[str], object]) -> None:
    """Import what an argument names; whatever goes wrong in that code, it is this argument that cannot be used."""
    try:
        load(name)
    except (Exception, SystemExit) as error:
        raise BadInput(f"{option} {name!r}: {type(error).__name__}: {error}") from None


def _reading_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("pattern", nargs="?", help="only sessions whose UID is like this, with *, ? and [...]")
    parser.add_argument("--since", type=_moment, metavar="AGE", help="only sessions that changed since, such as 24h")
    parser.add_argument("--max", type=_at_least_one, default=50, metavar="N", help="at most N rows (default: 50)")
    add_url(parser)
    add_json(parser)


def _sessions(args: argparse.Namespace) -> int:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResultsTruncated)  # it speaks of Python
        frame = reading.open_workspace(args).sessions(args.pattern, since=args.since, max_results=args.max)
    _say_if_cut(args, len(frame))
    return _print_frame(args, frame, reading.SESSIONS)


def _failures(args: argparse.Namespace) -> int:
    groups = reading.open_workspace(args).failure_groups(args.pattern, since=args.since, max_results=None)
    _say_if_cut(args, len(groups))
    return _print_frame(args, groups.head(args.max), reading.GROUPS)


def _say_if_cut(args: argparse.Namespace, n_rows: int) -> None:
    if n_rows >= args.max:
        _say(args, f"the first {args.max:,} rows; there may be more, --max shows them")


def _show_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("uid", help="UID of the session")
    add_url(parser)
    add_json(parser)


def _show(args: argparse.Namespace) -> int:
    session = reading.open_workspace(args)[args.uid]
    if args.json:
        return _print_frame(args, session.instances(), reading.INSTANCES)
    print(session._repr_mimebundle_()["text/plain"])
    return OK


def _lint_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", help="configuration as a JSON object of task names and directives; - reads it")
    add_json(parser)


def _lint(args: argparse.Namespace) -> int:
    import msgspec

    from triggers_nb.analysis.lint import lint

    configuration, repeated = reading.read_configuration(args.file)
    findings = [*repeated, *lint(configuration)]
    if args.json:
        print_json([msgspec.to_builtins(finding) for finding in findings])
    else:
        print_table(
            ["severity", "code", "task", "message"], [[f.severity, f.code, f.task, f.message] for f in findings]
        )
    return FAILURE if any(finding.severity == "error" for finding in findings) else OK


def _print_frame(args: argparse.Namespace, frame: pd.DataFrame, columns: tuple[str, ...]) -> int:
    if args.json:
        print_json(reading.records(frame))
    else:
        print_table(columns, reading.rows(frame, columns))
    return OK


#: Every command by name.
COMMANDS: Final[Mapping[str, Command]] = {
    "demo": Command("run a day of flights out of New York, one session per flight", _demo_arguments, _demo),
    "failures": Command("group failed instances by cause", _reading_arguments, _failures),
    "lint": Command("find mistakes in a configuration", _lint_arguments, _lint),
    "recover": Command("take up what crashes left behind, in all sessions", _recover_arguments, _recover),
    "sessions": Command("list sessions, last changed first", _reading_arguments, _sessions),
    "show": Command("show one session", _show_arguments, _show),
}
