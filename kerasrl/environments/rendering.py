"""Drawing an environment as `env.render` did until gym 0.25, in any way, whatever it was made for."""

import contextlib
from typing import Any

from kerasrl.compat.quiet import quiet_stderr
from kerasrl.environments.display import has_display, render_modes
from kerasrl.environments.instances import is_of_a_library, takes, wrapper_chain


def render(env: Any, mode: str | None = None, close: bool = False) -> Any:
    """Draw an environment as `env.render` did until gym 0.25, whatever `render_mode` it was made with.

    A `render` that is not one of the libraries' own is called with those arguments that it takes.

    Args:
        env: An environment of gym, Gymnasium or older gym, in its wrappers.
        mode: 'human' (also None) for a window, 'rgb_array' for an array [H, W, 3] of bytes, 'ansi' for a text.
        close: Close the window instead.

    Returns:
        The array or text; None if a window was to be drawn, whether or not there is a screen for it.
    """
    innermost = getattr(env, "unwrapped", env)
    if draws_itself(env):
        given: dict[str, Any] = {"mode": mode} if mode is not None else {}
        given |= {"close": True} if close else {}
        return env.render(**{name: value for name, value in given.items() if takes(innermost.render, name)})
    return draw(innermost, innermost.render, mode, close)


def draws_itself(env: Any) -> bool:
    """Return whether a class of an environment or of its wrappers has a `render` that no library wrote."""
    return any(
        hasattr(type(layer), "render") and not is_of_a_library(type(layer).render) for layer in wrapper_chain(env)
    )


def draw(innermost: Any, render: Any, mode: str | None = None, close: bool = False) -> Any:
    """Draw one of the libraries' environments with its own `render`, in a way it was not made for; see `render`."""
    if close:
        _forget_window(innermost)
        return None
    made_with = getattr(innermost, "render_mode", None)
    mode = mode or made_with or "human"
    if mode == made_with:
        return render()
    is_atari = hasattr(innermost, "ale")  # only gym.make opens Atari's own window
    if mode == "human" and not has_display():
        if "ansi" in render_modes(innermost):  # until gym 0.24 'human' meant a text for it
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
    """Close the window, and let one of gym's environments open a new one when it draws again."""
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


def caption(title: str, reward: float, step: int | None = None) -> str:
    """Return what stands above a picture or in a window's title, such as 'episode 3   step 1,024   reward 200'.

    The step is left out if it is None; the reward has at most two decimals.
    """
    steps = "" if step is None else f"   step {step:,}"
    return f"{title}{steps}   reward {round(float(reward), 2) + 0.0:,.10g}"  # the sum turns -0.0 into 0
