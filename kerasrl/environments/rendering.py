"""Whether a window can be opened, whether an environment draws pictures, drawing it as in older gym, and captions."""

import contextlib
import inspect
import os
from typing import Any

from kerasrl.compat.quiet import quiet_stderr
from kerasrl.environments.layers import is_of_a_library, layers
from kerasrl.errors import UserError, to_type


def has_display() -> bool:
    """Return whether a window can be opened; it takes a fraction of a second."""
    import pygame

    with quiet_stderr():
        try:
            pygame.display.init()
            driver = pygame.display.get_driver()
        except pygame.error:
            driver = None
    # Without a screen SDL draws where nobody sees it, which is right only for someone who asked for that.
    return driver is not None and (driver not in ("offscreen", "dummy") or "SDL_VIDEODRIVER" in os.environ)


def require_display() -> None:
    """Raise `UserError` unless a window can be opened."""
    if not has_display():
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


def takes(method: Any, name: str) -> bool:
    """Return whether a method takes a keyword argument."""
    try:
        parameters = inspect.signature(method).parameters
    except (TypeError, ValueError):
        return False
    return name in parameters or any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values())


def render(env: Any, mode: str | None = None, close: bool = False) -> Any:
    """Draw an environment as `env.render` did until gym 0.25, whatever `render_mode` it was made with.

    An environment of one's own is asked with what its `render` takes.

    Args:
        env: An environment of gym, Gymnasium or older gym, in its wrappers.
        mode: 'human' (also None) for a window, 'rgb_array' for an array [H, W, 3] of bytes, 'ansi' for a text.
        close: Close the window instead.

    Returns:
        The array or text; None if a window was to be drawn, whether there is a screen for it or not.
    """
    innermost = getattr(env, "unwrapped", env)
    if draws_itself(env):
        given: dict[str, Any] = {"mode": mode} if mode is not None else {}
        given |= {"close": True} if close else {}
        return env.render(**{name: value for name, value in given.items() if takes(innermost.render, name)})
    return draw(innermost, innermost.render, mode, close)


def draws_itself(env: Any) -> bool:
    """Return whether one of the classes of an environment or of its wrappers has a `render` of somebody's own."""
    return any(hasattr(type(layer), "render") and not is_of_a_library(type(layer).render) for layer in layers(env))


def draw(innermost: Any, render: Any, mode: str | None = None, close: bool = False) -> Any:
    """Draw one of the libraries' environments with its own `render`, in a way it was not made for; see `render`."""
    if close:
        _forget_window(innermost)
        return None
    made_with = getattr(innermost, "render_mode", None)
    mode = mode or made_with or "human"
    if mode == made_with:
        return render()
    is_atari = hasattr(innermost, "ale")  # whose own window has to be asked for when it is made
    if mode == "human" and not has_display():
        if "ansi" in render_modes(innermost.metadata):  # a text is what 'human' meant for it until gym 0.24
            print(draw(innermost, render, "ansi"))
        return None
    import pygame

    is_first = not pygame.get_init()
    if mode == "human" and not is_atari and pygame.display.get_surface() is None:
        _forget_window(innermost)
    innermost.render_mode = "rgb_array" if is_atari else mode
    try:
        with quiet_stderr() if is_first else contextlib.nullcontext():  # SDL looks for sound and screen
            picture = render()
    finally:
        innermost.render_mode = made_with
    return show(picture) if mode == "human" and is_atari else picture


def _forget_window(env: Any) -> None:
    """Close the window, and let one of gym's environments open another one when it draws again."""
    import pygame

    for name in ("screen", "window_surface"):
        if vars(env).get(name) is not None:
            setattr(env, name, None)
    pygame.display.quit()


def show(picture: Any, enlarged: int = 3) -> None:
    """Show an array [H, W, 3] in a window, each pixel `enlarged` times as wide and as high."""
    import pygame

    size = (enlarged * picture.shape[1], enlarged * picture.shape[0])
    window = pygame.display.get_surface()
    if window is None or window.get_size() != size:
        pygame.display.init()
        window = pygame.display.set_mode(size)
    surface = pygame.surfarray.make_surface(picture.swapaxes(0, 1))
    window.blit(pygame.transform.scale(surface, size), (0, 0))
    pygame.event.pump()
    pygame.display.flip()
