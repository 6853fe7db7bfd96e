"""Environments of one's own that are given as objects, or by functions that make them."""

import contextlib
import copy
import inspect
from typing import Any

from kerasrl.environments.rendering import render_modes, require_display, require_drawing
from kerasrl.errors import UserError


def is_environment(thing: Any) -> bool:
    """Return whether something is an environment, and not a class of them."""
    return not isinstance(thing, type) and hasattr(thing, "reset") and hasattr(thing, "step")


def name_of(env: Any) -> str:
    """Return the name under which an environment was registered, or else that of its class."""
    spec = getattr(env, "spec", None)
    return str(spec.id) if spec is not None else type(getattr(env, "unwrapped", env)).__name__


def another(source: Any, render_mode: str | None = None) -> Any:
    """Return a new environment: what a function makes, or a copy of an environment.

    Args:
        source: Environment; or a function, or a class, that makes one, from `render_mode` if it takes it.
        render_mode: 'human' for a window, 'rgb_array' for pictures.

    Raises:
        UserError: It cannot be made or copied, or it draws no pictures.
    """
    if is_environment(source):
        try:
            env = copy.deepcopy(source)
        except Exception as error:
            raise UserError(
                f"the environment {name_of(source)} cannot be copied, and evaluations need one of their own "
                f"({' '.join(str(error).split())}); give a function that makes one: env=lambda: ..."
            ) from error
    elif callable(source):
        takes_mode = "render_mode" in inspect.signature(source).parameters
        env = source(**({"render_mode": render_mode} if takes_mode else {}))
    else:
        env = None
    if not is_environment(env):
        raise UserError(f"env must be an environment or a function that makes one (Config takes a name), is {source!r}")
    require_able_to_draw(env, render_mode)
    unwrapped = getattr(env, "unwrapped", env)
    modes = [None, *render_modes(getattr(unwrapped, "metadata", None))]
    if hasattr(unwrapped, "render_mode") and render_mode in modes:
        unwrapped.render_mode = render_mode  # a copy, or one whose maker does not ask how it will be shown
    return env


def require_able_to_draw(env: Any, render_mode: str | None) -> None:
    """Raise `UserError` if an environment that draws nothing is to be shown, or a window opened without a screen."""
    if render_mode is not None:
        require_drawing(env, name_of(env))
    if render_mode == "human":
        require_display()


def close(env: Any) -> None:
    """Close an environment that knows how to; `rl.core.Env` says only that one might."""
    with contextlib.suppress(NotImplementedError):
        getattr(env, "close", lambda: None)()
