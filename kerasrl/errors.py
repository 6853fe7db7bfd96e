"""The errors that a person can act on: one line that names what is wrong and what to do."""

import errno
import shutil
import sys
import traceback
from pathlib import Path


def printable(text: str) -> str:
    """Return a text on one line that does nothing to a terminal: control characters are written as in Python."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


class UserError(ValueError):
    """A wrong setting, environment or file. Command lines print its text and exit with status 2."""

    def __str__(self) -> str:
        return printable(super().__str__())


class WeightsError(UserError):
    """A weights file that cannot be used."""


class DivergenceError(ArithmeticError):
    """A training whose loss is no longer a finite number."""


class WriteError(OSError):
    """A weights, log or state file that cannot be written."""


def python() -> str:
    """Return what to type for this interpreter in the current folder."""
    found = Path(sys.executable)
    if Path(shutil.which("python") or "").parent == found.parent:
        return "python"
    # A virtual environment that is not activated is named by its path.
    return str(found.relative_to(Path.cwd()) if found.is_relative_to(Path.cwd()) else found)


def to_install(extra: str) -> str:
    """Return the line that installs an extra of this project, to type in its folder."""
    return f"{python()} -m pip install '.[{extra}]'"


def describe(error: Exception) -> str:
    """Say on one line what failed: the part of the program, the kind of error, its text."""
    text = printable(" ".join(str(error).split()))
    if isinstance(error, UserError | DivergenceError):
        return text
    if isinstance(error, WriteError):
        cure = "free some space" if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG) else "check the folder"
        return f"cannot write {error.filename}: {error.strerror}; {cure}, then continue (a training with --resume)"
    component = failing_component(error)
    return f"{component + ' failed: ' if component else ''}{type(error).__name__}: {text}{_place(error)}"


def _place(error: Exception) -> str:
    """Name the line that raised the error."""
    frames = traceback.extract_tb(error.__traceback__)
    return f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""


def failing_component(error: Exception) -> str | None:
    """Name the user's part that raised the error: environment, processor, policy or callback."""
    found = None
    for frame, _ in traceback.walk_tb(error.__traceback__):
        module, owner = frame.f_globals.get("__name__", ""), frame.f_locals.get("self")
        if module == "kerasrl.environments.protocol":
            found = "the environment"
        elif not type(owner).__module__.startswith(("kerasrl.", "rl.")) and found is None:
            bases = {f"{base.__module__}.{base.__name__}" for base in type(owner).__mro__}
            for base, name in (
                ("keras.src.callbacks.callback.Callback", "callback"),  # Keras-RL's is derived from it
                ("rl.core.Processor", "processor"),
                ("rl.policy.Policy", "policy"),
            ):
                if base in bases:
                    found = f"{name} {type(owner).__name__}"
    return found
