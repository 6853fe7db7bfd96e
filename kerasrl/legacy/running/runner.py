"""`python -m kerasrl SCRIPT`: run a script as Python would, with the names of its time translated."""

import argparse
import difflib
import importlib.machinery
import sys
from collections.abc import Sequence
from pathlib import Path
from traceback import walk_tb
from types import ModuleType, TracebackType
from typing import Any

from kerasrl.errors import UserError, one_line
from kerasrl.installation import COMMANDS
from kerasrl.legacy.report import report
from kerasrl.legacy.running import environment_calls, import_hooks, own_modules, syntax
from kerasrl.legacy.script import Options, script


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    if not (sys.argv[1:] if argv is None else argv):
        print(f"error: name a command ({', '.join(COMMANDS)}) or a SCRIPT; --help tells more", file=sys.stderr)
        return 2
    arguments = _parser().parse_args(argv)
    if arguments.migrate:
        return _migrate(arguments)
    try:
        source = Path(arguments.script).read_bytes()
    except OSError as error:
        near = difflib.get_close_matches(arguments.script, COMMANDS, n=1)
        hint = f"; did you mean the command {near[0]}?" if near else ""
        print(f"error: cannot open {arguments.script}: {error.strerror}{hint}", file=sys.stderr)
        return 2
    notes: Any = "never" if arguments.quiet else "at once" if arguments.verbose else "at the end"
    script.options = Options(notes, arguments.keras_rl, arguments.time_limits_end)
    return _run(arguments.script, source, arguments.arguments)


def _migrate(arguments: argparse.Namespace) -> int:
    """Print or write the migrated script; return the exit status."""
    try:
        if arguments.time_limits_end:
            raise UserError("--time-limits-end only works when a script is run; a migrated script cannot have it")
        import_hooks.deactivate()  # the script is read, not run
        from kerasrl.legacy.migrating import command

        return command.run(arguments.script, arguments.write, arguments.keras_rl)
    except UserError as error:
        print(f"error: {one_line(error)}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m kerasrl",
        description="Run an old Keras-RL script as it is, on today's TensorFlow.",
        epilog=f"Instead of a script: {', '.join(COMMANDS)}. See `python -m kerasrl train --help`.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    told = parser.add_mutually_exclusive_group()
    told.add_argument("--verbose", action="store_true", help="print each translation at its first use, not at the end")
    told.add_argument("--quiet", action="store_true", help="do not print what was translated")
    whose = "whose defaults to use: 1 is keras-rl 0.4.2 (double DQN), 2 is keras-rl2; otherwise the imports decide"
    parser.add_argument("--keras-rl", type=int, choices=(1, 2), help=whose)
    real = "treat a time limit as a real end of the episode, as Keras-RL does"
    parser.add_argument("--time-limits-end", action="store_true", help=real)
    parser.add_argument("--migrate", action="store_true", help="print a diff of the script rewritten for today")
    parser.add_argument("--write", action="store_true", help="with --migrate: change the file and keep a copy")
    parser.add_argument("script", metavar="SCRIPT", help="the script to run")
    parser.add_argument("arguments", metavar="...", nargs=argparse.REMAINDER, help="the script's own arguments")
    return parser


def _run(file: str, source: bytes, arguments: list[str]) -> int:
    """Run `source` as `python script arguments` would; return the exit status."""
    sys.argv = [file, *arguments]
    file = str(Path(file).absolute())  # as Python names it
    folder = Path(file).resolve().parent
    script.folder, script.file = folder, file
    script.keras.clear()  # of what imported this package
    sys.path.insert(0, str(folder))
    module = ModuleType("__main__")
    loader = importlib.machinery.SourceFileLoader("__main__", file)
    vars(module).update(__file__=file, __cached__=None, __loader__=loader)
    own_modules.provide(vars(module))
    sys.modules["__main__"] = module
    try:
        environment_calls.provide(vars(module))
        exec(syntax.compiled(source, file), vars(module))
    except SystemExit:
        raise
    except UserError as error:
        print(f"error: {_place(error.__traceback__)}{one_line(error)}", file=sys.stderr)
        return 2
    except BaseException as error:
        error.__traceback__ = _from_script(error.__traceback__)
        sys.excepthook(type(error), error, error.__traceback__)
        return 130 if isinstance(error, KeyboardInterrupt) else 1
    finally:
        report.show()
    return 0


def _from_script(traceback: TracebackType | None) -> TracebackType | None:
    """Return a traceback from the script's first line on; None if no line ran, as for a SyntaxError."""
    while traceback is not None and not script.is_own(traceback.tb_frame.f_code.co_filename):
        traceback = traceback.tb_next
    return traceback


def _place(traceback: TracebackType | None) -> str:
    """Return the innermost of the script's lines in a traceback as 'script.py, line 41: '."""
    lines = [(frame.f_code.co_filename, line) for frame, line in walk_tb(traceback)]
    own = [f"{file}, line {line}: " for file, line in lines if script.is_own(file)]
    return own[-1] if own else ""
