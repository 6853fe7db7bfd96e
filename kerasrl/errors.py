"""The errors that a person can act on: one line that names what is wrong and what to do."""

import contextlib
import errno
import inspect
import shutil
import sys
import sysconfig
import traceback
from collections.abc import Iterator
from contextvars import ContextVar
from pathlib import Path
from types import FrameType
from typing import Any, TypeGuard

from kerasrl import commands

_LONGEST, _END = 800, 300  # characters of a message: what it quotes may be as long as a file; of its end, the cure
_from_shell = ContextVar("from_shell", default=False)


def printable(text: str) -> str:
    """Return a text on one line that does nothing to a terminal: control characters are written as in Python."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - _END]} ... {text[-_END:]}"


class UserError(ValueError):
    """A wrong setting, environment or file. Command lines print its text and exit with status 2."""

    def __str__(self) -> str:
        return _shortened(printable(_shortened(super().__str__())))  # first, since each letter may become ten

    def _render_traceback_(self) -> list[str]:
        """Return what a notebook shows: the line that says it all, and not where it was raised."""
        return [f"{type(self).__name__}: {self}"]


class WeightsError(UserError):
    """A weights file that cannot be used."""


class DivergenceError(ArithmeticError):
    """A training whose loss is no longer a finite number."""


class WriteError(OSError):
    """A weights, log or state file that cannot be written."""


class Note(UserWarning):
    """Something that works but is hardly meant. Command lines print its text as a line on stderr."""


@contextlib.contextmanager
def shell() -> Iterator[None]:
    """While the block runs, what is to be typed is told as it is typed in a shell; elsewhere as Python."""
    token = _from_shell.set(True)
    try:
        yield
    finally:
        _from_shell.reset(token)


def to_type(in_shell: str, in_python: str) -> str:
    """Return what to type where the program was started: in a shell, or in Python (a notebook, a script)."""
    return in_shell if _from_shell.get() else in_python


def python() -> str:
    """Return what to type for this interpreter in the current folder."""
    found = Path(sys.executable)
    if Path(shutil.which("python") or "").parent == found.parent:
        return "python"
    # A virtual environment that is not activated is named by its path.
    return str(found.relative_to(Path.cwd()) if found.is_relative_to(Path.cwd()) else found)


def to_install(extra: str) -> str:
    """Return the line that installs an extra of this project, to type in its folder if there is one."""
    return f"{python()} -m pip install '{_name()}[{extra}]'"


def missing(library: str | None) -> str:
    """Say that this Python lacks a library that comes with the project."""
    use = "" if commands.IS_INSTALLED else "use .venv/bin/python, or "
    return f"this Python has no {library}; {use}install what is needed: pip install {_name()}"


def _name() -> str:
    """Return what pip calls this project: the folder, or the package where there is none."""
    return "kerasrl" if commands.IS_INSTALLED else "."


def describe(error: Exception) -> str:
    """Say on one line what failed: the part of the program, the kind of error, its text."""
    text = printable(" ".join(str(error).split()))
    if isinstance(error, UserError | DivergenceError):
        return text
    if isinstance(error, WriteError):
        cure = "free some space" if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG) else "check the folder"
        return f"cannot write {error.filename}: {error.strerror}; {cure}, then continue (a training with --resume)"
    if _is_missing(error):
        return missing(error.name)
    component = failing_component(error)
    return f"{component + ' failed: ' if component else ''}{type(error).__name__}: {text}{_place(error)}"


def is_unexpected(error: Exception) -> bool:
    """Return whether somebody's code has failed, so that a traceback tells more than the line."""
    if isinstance(error, UserError):
        return error.__cause__ is not None and not isinstance(error, WeightsError)
    return not isinstance(error, DivergenceError | WriteError) and not _is_missing(error)


def _is_missing(error: Exception) -> TypeGuard[ModuleNotFoundError]:
    """Return whether a library is not installed that this program needs, rather than the user's part of it."""
    return isinstance(error, ModuleNotFoundError) and failing_component(error) is None


def failing_component(error: Exception) -> str | None:
    """Name the user's part that raised the error: environment, processor, policy or callback."""
    return _component(error)[0]


def _component(error: Exception) -> tuple[str | None, list[tuple[FrameType, int]]]:
    """Return the name of the user's part that raised the error, and the frames and lines from its call on."""
    frames = list(traceback.walk_tb(error.__traceback__))
    found, inside = None, frames
    for place, (frame, _) in enumerate(frames):
        module, owner = frame.f_globals.get("__name__", ""), frame.f_locals.get("self")
        if module == "kerasrl.environments.protocol":
            found, inside = "the environment", frames[place:]
        elif not type(owner).__module__.startswith(("kerasrl.", "rl.")) and found is None:
            bases = {f"{base.__module__}.{base.__name__}" for base in type(owner).__mro__}
            for base, name in (
                ("keras.src.callbacks.callback.Callback", "callback"),  # Keras-RL's is derived from it
                ("rl.core.Processor", "processor"),
                ("rl.policy.Policy", "policy"),
            ):
                if base in bases:
                    found, inside = f"{name} {type(owner).__name__}", frames[place:]
    return found, inside


def _place(error: Exception) -> str:
    """Name the line that raised the error: the last one that the failing part's author wrote, if there is one."""
    component, frames = _component(error)
    if not frames:
        return ""
    own = [(frame, line) for frame, line in frames if component and _is_own(frame.f_code.co_filename)]
    if not own and component == "the environment":  # gym fails at what the environment gave to it
        frame, _ = frames[0]
        return definition(getattr(frame.f_locals.get("self"), "env", None), frame.f_code.co_name)
    frame, line = (own or frames)[-1]
    return f" ({Path(frame.f_code.co_filename).name}, line {line})"


def definition(env: Any, method: str) -> str:
    """Name, in brackets, the line where a method of an environment is written; "" if that is not known.

    Of an environment in wrappers it is the outermost one that is not gym's or Gymnasium's.
    """
    layer = env
    while layer is not None and type(layer).__module__.partition(".")[0] in ("gym", "gymnasium"):
        layer = getattr(layer, "env", None)
    function = getattr(layer, method, None)
    code = getattr(inspect.unwrap(function), "__code__", None) if function else None
    if code is None:
        return ""
    name, line = code.co_filename, code.co_firstlineno
    if not _is_own(name):  # such as ObservationWrapper.step, which calls what is in the class
        try:
            name, line = inspect.getfile(type(layer)), inspect.getsourcelines(type(layer))[1]
        except (OSError, TypeError):
            return ""
    return f" ({Path(name).name}, line {line})"


def _is_own(file: str) -> bool:
    """Return whether a source is neither Python's nor an installed library's nor this package's."""
    folders = [sysconfig.get_path(kind) for kind in ("stdlib", "platstdlib", "purelib", "platlib")]
    return not file.startswith(("<", *folders, str(Path(__file__).parent)))
