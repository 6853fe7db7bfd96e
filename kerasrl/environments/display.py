"""Whether an environment can be shown or filmed: it has to draw, and a window needs a screen."""

import os
import sys
from typing import Any

from kerasrl.compat.quiet import quiet_stderr
from kerasrl.environments.instances import is_of_a_library, name_of
from kerasrl.errors import UserError
from kerasrl.phrases import to_give


def has_display() -> bool:
    """Return whether a window can be opened, which takes a fraction of a second to find out."""
    import pygame

    with quiet_stderr():
        try:
            pygame.display.init()
            driver = pygame.display.get_driver()
        except pygame.error:
            return False
    # Without a screen SDL draws where nobody can see it, which is right only if that was asked for.
    return driver not in ("offscreen", "dummy") or "SDL_VIDEODRIVER" in os.environ


# Libraries that open windows. What draws without any of them, such as by printing, needs no screen.
_WINDOWS = {"pygame", "pyglet", "cv2", "tkinter", "matplotlib", "turtle", "arcade", "glfw", "OpenGL", "PyQt5", "PyQt6"}


def needs_display(env: Any) -> bool:
    """Return whether an environment, or a class of environments, may open a window where it draws for a person.

    Somebody's own does not if neither its class nor the module of that mentions a library that opens windows.
    """
    kind = env if isinstance(env, type) else type(getattr(env, "unwrapped", env))
    own = [base for base in kind.__mro__ if base is not object and not is_of_a_library(base)]
    if is_of_a_library(getattr(kind, "render", kind)):
        return True
    functions = [value for base in own for value in vars(base).values() if hasattr(value, "__code__")]
    seen = [vars(sys.modules[base.__module__]) for base in own if base.__module__ in sys.modules]
    modules = [
        getattr(value, "__module__", None) or getattr(value, "__name__", "")
        for names in seen
        for value in names.values()
    ]
    mentioned = {str(name).partition(".")[0] for name in modules}
    return not _WINDOWS.isdisjoint(mentioned.union(*(function.__code__.co_names for function in functions)))


def require_display(env: Any = None) -> None:
    """Raise `UserError` unless a window can be opened, or `env`, an environment or a class of them, needs none."""
    if (env is None or needs_display(env)) and not has_display():
        raise UserError(
            f"there is no screen to open a window on; leave out {to_give(visualize=True)}, or connect "
            "with ssh -X, or run under xvfb-run"
        )


def render_modes(env: Any) -> Any:
    """Return the ways to draw that the metadata of an environment, or of a class of environments, name."""
    metadata = getattr(env, "metadata", None) or {}
    return metadata.get("render_modes", metadata.get("render.modes")) or []  # the latter: older gym


def draws(env: Any) -> bool:
    """Return whether an environment, or a class of environments, draws in a window or into an array."""
    return not {"human", "rgb_array"}.isdisjoint(render_modes(env))


def require_drawing(env: Any, name: str) -> None:
    """Raise `UserError` if an environment, or a class of environments, does not draw at all."""
    if not draws(env):
        raise UserError(
            f"{name} cannot be shown or filmed: this environment draws no pictures (its metadata['render_modes'] names "
            "neither 'human' nor 'rgb_array')"
        )


def require_able_to_draw(env: Any, render_mode: str | None) -> None:
    """Raise `UserError` if `env` draws nothing, or there is no screen for a window, where `render_mode` asks for it."""
    if render_mode is not None:
        require_drawing(env, name_of(env))
    if render_mode == "human":
        require_display(env)


def require_pictures(env: Any) -> None:
    """Raise `UserError` unless `env` was made with render_mode="rgb_array" and can draw that way."""
    name = name_of(env)
    require_drawing(env, name)
    if "rgb_array" not in render_modes(env):
        raise UserError(f"{name} cannot be filmed: its metadata['render_modes'] has no 'rgb_array'; leave out the film")
    if getattr(env, "render_mode", None) != "rgb_array":
        raise UserError(f"{name} cannot be filmed as it was made; make it with render_mode='rgb_array'")
