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
from typing import Final, NamedTuple

from triggers_nb.core.status import STATUSES
from triggers_nb.errors import StorageUrlError, TriggersError, UnknownKey

OK: Final = 0
FAILURE: Final = 1
USAGE: Final = 2
INTERRUPTED: Final = 130


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
            warnings.showwarning = lambda message, *_: _say(args, f"warning: {message}")
            return COMMANDS[args.command].run(args)
    except (StorageUrlError, UnknownKey) as error:
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


def _say(args: argparse.Namespace, text: object) -> None:
    print(f"triggers-nb {args.command}: {text}", file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="triggers-nb", description="Trigger sessions from the command line.")
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
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"expected a whole number from 1 on, got {text!r}")
    return int(text)


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

    sys.path.insert(0, str(Path.cwd()))  # as Celery does
    for module in args.modules:
        import_module(module)
    runner = args.runner or ("celery" if args.celery_app else None)
    done = recover(args.url, limit=args.limit, runner=runner, celery_app=args.celery_app)
    if args.json:
        print_json(done)
    else:
        print_table(["outcome", "items"], sorted(done.items()))
    return FAILURE if done.keys() & {"failed", "out of reach"} else OK


#: Every command by name.
COMMANDS: Final[Mapping[str, Command]] = {
    "demo": Command("run a day of flights out of New York, one session per flight", _demo_arguments, _demo),
    "recover": Command("take up what crashes left behind, in all sessions", _recover_arguments, _recover),
}
