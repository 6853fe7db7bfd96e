"""What to blame for an exception - the user's code, a missing library, this project - and how to say so."""

import errno
import inspect
import sysconfig
import traceback
from pathlib import Path
from types import FrameType
from typing import Any, TypeGuard

from kerasrl.errors import DivergenceError, UserError, WeightsError, WriteError, one_line, printable
from kerasrl.phrases import missing, to_give, to_type

_ASKING = ("kerasrl.environments.adapter", "kerasrl.environments.masks")  # what calls an environment's methods


def describe(error: Exception) -> str:
    """Say on one line what failed: the part of the program, the kind of error, its text."""
    text = printable(one_line(error))
    if isinstance(error, UserError | DivergenceError):
        return text
    if isinstance(error, WriteError):
        cure = "free some space" if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG) else "check the folder"
        again = f"repeat the {to_type('command', 'call')} (a training goes on with {to_give(resume=True)})"
        return f"cannot write {error.filename}: {error.strerror}; {cure}, then {again}"
    if _is_missing(error):
        return missing(error.name)
    component = failing_component(error)
    return f"{component + ' failed: ' if component else ''}{type(error).__name__}: {text}{_place(error)}"


def is_unexpected(error: Exception) -> bool:
    """Return whether code failed in a way that a traceback explains better than one line."""
    if isinstance(error, UserError):
        return error.__cause__ is not None and not isinstance(error, WeightsError)
    return not isinstance(error, DivergenceError | WriteError) and not _is_missing(error)


def _is_missing(error: Exception) -> TypeGuard[ModuleNotFoundError]:
    """Return whether a library is missing that this program needs, not only the user's code."""
    return isinstance(error, ModuleNotFoundError) and failing_component(error) is None


def failing_component(error: BaseException) -> str | None:
    """Name the part of the user's that raised the error: environment, processor, policy or callback."""
    return _component(error)[0]


def _component(error: BaseException) -> tuple[str | None, list[tuple[FrameType, int]]]:
    """Return what `failing_component` does, and the frames and lines from the call of that part on."""
    frames = list(traceback.walk_tb(error.__traceback__))
    found, inside = None, frames
    for place, (frame, _) in enumerate(frames):
        module, owner = frame.f_globals.get("__name__", ""), frame.f_locals.get("self")
        if module in _ASKING and frame.f_code.co_name != "<module>":
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
    """Name the line that raised the error: if possible, the last one that the failing part's author wrote."""
    component, frames = _component(error)
    if not frames:
        return ""
    own = [(frame, line) for frame, line in frames if component and _is_own(frame.f_code.co_filename)]
    if not own and component == "the environment":  # gym failed on what the environment returned
        frame, _ = frames[0]
        return definition(getattr(frame.f_locals.get("self"), "env", None), frame.f_code.co_name)
    frame, line = (own or frames)[-1]
    return f" ({Path(frame.f_code.co_filename).name}, line {line})"


def definition(env: Any, method: str) -> str:
    """Name, in brackets, the line where a method of an environment is defined; "" if that is not known.

    If the environment is in wrappers, that is the outermost layer that is not gym's or Gymnasium's.
    """
    layer = env
    while layer is not None and type(layer).__module__.partition(".")[0] in ("gym", "gymnasium"):
        layer = getattr(layer, "env", None)
    function = getattr(layer, method, None)
    code = getattr(inspect.unwrap(function), "__code__", None) if function else None
    if code is None:
        return ""
    name, line = code.co_filename, code.co_firstlineno
    if not _is_own(name):  # such as ObservationWrapper.step, which calls a method of the class
        try:
            name, line = inspect.getfile(type(layer)), inspect.getsourcelines(type(layer))[1]
        except (OSError, TypeError):
            return ""
    return f" ({Path(name).name}, line {line})"


def _is_own(file: str) -> bool:
    """Return whether a source file belongs neither to Python nor to an installed library nor to this package."""
    folders = [sysconfig.get_path(kind) for kind in ("stdlib", "platstdlib", "purelib", "platlib")]
    return not file.startswith(("<", *folders, str(Path(__file__).parent)))
