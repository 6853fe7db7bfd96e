"""Which arguments an environment's maker takes, its class or a function."""

import difflib
import inspect
from collections.abc import Iterable, Mapping
from typing import Any

from kerasrl.errors import UserError

_OF_MAKE = {"max_episode_steps"}  # which gym.make takes itself
_OURS = {"self", "render_mode"}


def require_taken(maker: Any, called: str, names: Iterable[str]) -> None:
    """Raise `UserError` if a class or function does not take an argument, as far as its signature tells.

    The message names what it takes.
    """
    try:
        parameters = inspect.signature(maker).parameters.values()
    except (TypeError, ValueError):  # it does not tell
        return
    if any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters):
        return
    taken = [p.name for p in parameters if p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD) and p.name not in _OURS]
    for name in names:
        if name not in {*taken, *_OF_MAKE}:
            near = difflib.get_close_matches(name, taken, n=1)
            meant = f"did you mean {near[0]}? " if near else ""
            takes = f"it takes {', '.join(taken)}" if taken else "it takes none"
            raise UserError(f"{called} has no argument {name!r:.60}; {meant}{takes}")


def require_made(arguments: Mapping[str, Any]) -> None:
    """Raise `UserError` if there are arguments for an environment that exists already."""
    if arguments:
        raise UserError("env_arg is for an environment that is made, by its name, class or function; this one exists")
