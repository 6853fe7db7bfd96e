"""What a recipe's train.py and test.py begin and end with.

Imports are kept to a minimum until Ctrl-C is handled.
"""

import contextlib
import sys
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

from kerasrl import installation, signals

# The rest of the command that `answer` has begun, by its name, and what gives plain names back to their owners.
_begun: dict[str, tuple[Any, contextlib.ExitStack]] = {}


def answer(name: str, agent: str = "dqn") -> None:
    """Begin the command 'train' or 'test' before a script's slow imports: answer --help, report mistyped options.

    `agent` is the one that is trained unless an option or a file names another.

    Anything that goes wrong from here until `command` is called is also reported in one line.
    """
    signals.leave_quietly()
    from kerasrl.cli.door import begin
    from kerasrl.training.recipe import plain_names

    sys.excepthook = _tell
    stages, stack = begin(name, sys.argv[1:], Path(sys.argv[0]).name, _own_file(name), agent), contextlib.ExitStack()
    stack.enter_context(plain_names(Path(sys.argv[0]).absolute().parent))  # which the script's next imports mean
    _begun[name] = stages, stack


def command(name: str, build: Callable[[Any], Any], function: Callable[[Any], Any]) -> int:
    """Do the rest of the command 'train' or 'test'; return its exit status, or exit with that of an error.

    Args:
        name: The command.
        build: Returns the agent for a `Run`.
        function: The recipe's `train` or `test`.
    """
    from kerasrl.cli.door import finish
    from kerasrl.training.recipe import Recipe

    if name not in _begun:
        answer(name)
    stages, stack = _begun.pop(name)
    stack.close()
    return finish(stages, Recipe(build, _own_file(name), **{name: function}))


def _own_file(name: str) -> str:
    """Return the train.py of the running recipe, "" if it is the project's."""
    file = Path(sys.argv[0]).absolute()
    if file.parent.resolve() == installation.FOLDER:
        return ""
    own = file.with_name("train.py") if name == "test" else file
    return str(own.relative_to(Path.cwd()) if own.is_relative_to(Path.cwd()) else own)


def _tell(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    """Report in one line what went wrong while a script was importing; Python exits with status 1."""
    from kerasrl.cli.streams import DEBUG, tell

    if isinstance(error, Exception):
        tell(error, DEBUG in sys.argv)
    else:
        sys.__excepthook__(kind, error, traceback)
