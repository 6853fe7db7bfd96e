"""Whether a window can be opened, whether an environment draws pictures, and what is written above them."""

import os
from typing import Any

from kerasrl.compat.gym import quiet_stderr
from kerasrl.errors import UserError, to_type


def require_display() -> None:
    """Raise `UserError` unless a window can be opened; it takes a fraction of a second."""
    import pygame

    with quiet_stderr():
        try:
            pygame.display.init()
            driver = pygame.display.get_driver()
        except pygame.error:
            driver = None
    # Without a screen SDL draws where nobody sees it, which is right only for someone who asked for that.
    if driver is None or (driver in ("offscreen", "dummy") and "SDL_VIDEODRIVER" not in os.environ):
        raise UserError(
            f"there is no screen to open a window on; leave out {to_type('--visualize', 'visualize=True')}, or connect "
            "with ssh -X, or run under xvfb-run"
        )


def render_modes(metadata: Any) -> Any:
    """Return the ways to draw that an environment's metadata names."""
    metadata = metadata or {}
    return metadata.get("render_modes", metadata.get("render.modes")) or []  # the latter: older gym


def draws(env: Any) -> bool:
    """Tell whether an environment, or a class of them, draws in a window or into an array."""
    return not {"human", "rgb_array"}.isdisjoint(render_modes(getattr(env, "metadata", None)))


def require_drawing(env: Any, name: str) -> None:
    """Raise `UserError` if an environment, or a class of them, does not draw at all."""
    if not draws(env):
        raise UserError(
            f"{name} cannot be shown or filmed: this environment draws no pictures (its metadata['render_modes'] names "
            "neither 'human' nor 'rgb_array')"
        )


def in_digits(reward: float) -> str:
    """Return a sum of rewards as text: at most two decimals, thousands set apart."""
    return f"{round(float(reward), 2) + 0.0:,.10g}"  # the sum turns -0.0 into 0


def require_pictures(env: Any) -> None:
    """Raise `UserError` unless `env` was made with render_mode="rgb_array" and knows how to draw then."""
    spec = getattr(env, "spec", None)
    name = spec.id if spec is not None else type(getattr(env, "unwrapped", env)).__name__
    require_drawing(env, name)
    if "rgb_array" not in render_modes(env.metadata):
        raise UserError(f"{name} cannot be filmed: its metadata['render_modes'] has no 'rgb_array'; leave out the film")
    if getattr(env, "render_mode", None) != "rgb_array":
        raise UserError(f"{name} cannot be filmed as it was made; make it with render_mode='rgb_array'")
