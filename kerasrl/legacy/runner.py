"""`python -m kerasrl SCRIPT`: a script is run as Python would, with the names of its time translated."""

import argparse
import builtins
import importlib.machinery
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any

from kerasrl.commands import COMMANDS
from kerasrl.errors import UserError
from kerasrl.legacy import syntax
from kerasrl.legacy.notes import Options, notes


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    arguments = _parser().parse_args(argv)
    if arguments.migrate:
        return _migrate(arguments)
    try:
        source = Path(arguments.script).read_bytes()
    except OSError as error:
        print(f"error: cannot open {arguments.script}: {error.strerror}", file=sys.stderr)
        return 2
    tell: Any = "never" if arguments.quiet else "at once" if arguments.verbose else "at the end"
    notes.options = Options(tell, arguments.keras_rl, arguments.time_limits_end)
    return _run(arguments.script, source, arguments.arguments)


def _migrate(arguments: argparse.Namespace) -> int:
    """Print or write the script as it is today; return the exit status."""
    try:
        if arguments.time_limits_end:
            raise UserError("--time-limits-end is for runs; it has no counterpart in a migrated script")
        from kerasrl.legacy import migrate

        return migrate.run(arguments.script, arguments.write, arguments.keras_rl)
    except UserError as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m kerasrl",
        description="Run an old Keras-RL script as it is, on today's TensorFlow.",
        epilog=f"In place of a script: {', '.join(COMMANDS)}. `python -m kerasrl train --help` tells more.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    told = parser.add_mutually_exclusive_group()
    told.add_argument("--verbose", action="store_true", help="tell each translation at its first use, not at the end")
    told.add_argument("--quiet", action="store_true", help="do not tell what was translated")
    parser.add_argument(
        "--keras-rl",
        type=int,
        choices=(1, 2),
        help="whose defaults hold: 1 is keras-rl 0.4.2 (double DQN), 2 is keras-rl2; "
        "by default 1 for scripts that import plain keras",
    )
    parser.add_argument(
        "--time-limits-end",
        action="store_true",
        help="take a time limit for a real end of the episode, as Keras-RL does",
    )
    parser.add_argument("--migrate", action="store_true", help="print, as a diff, the script rewritten for today")
    parser.add_argument("--write", action="store_true", help="with --migrate: change the file, and keep a copy")
    parser.add_argument("script", metavar="SCRIPT", help="the script to run")
    parser.add_argument("arguments", metavar="...", nargs=argparse.REMAINDER, help="the script's own arguments")
    return parser


def _run(script: str, source: bytes, arguments: list[str]) -> int:
    """Run `source` as `python script arguments` would; return the exit status."""
    sys.argv = [script, *arguments]
    script = str(Path(script).absolute())  # as Python names it
    folder = Path(script).resolve().parent
    notes.root, notes.script = folder, script
    notes.keras.clear()  # of what imported this package
    sys.path[0] = str(folder)
    module = ModuleType("__main__")
    vars(module).update(
        __file__=script,
        __builtins__=builtins,
        __cached__=None,
        __loader__=importlib.machinery.SourceFileLoader("__main__", script),
    )
    sys.modules["__main__"] = module
    try:
        syntax.provide(vars(module))
        exec(syntax.compiled(source, script), vars(module))
    except SystemExit:
        raise
    except UserError as error:
        print(f"error: {_place(error.__traceback__)}{' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except BaseException as error:
        error.__traceback__ = _from_script(error.__traceback__)
        sys.excepthook(type(error), error, error.__traceback__)
        return 130 if isinstance(error, KeyboardInterrupt) else 1
    finally:
        notes.tell()
    return 0


def _from_script(traceback: TracebackType | None) -> TracebackType | None:
    """Return a traceback from the script's first line on; None, as Python shows it, if it could not be read."""
    while traceback is not None and not notes.is_own(traceback.tb_frame.f_code.co_filename):
        traceback = traceback.tb_next
    return traceback


def _place(traceback: TracebackType | None) -> str:
    """Return the innermost line of the script in a traceback as 'script.py, line 41: '."""
    place = ""
    while traceback is not None:
        if notes.is_own(traceback.tb_frame.f_code.co_filename):
            place = f"{traceback.tb_frame.f_code.co_filename}, line {traceback.tb_lineno}: "
        traceback = traceback.tb_next
    return place
