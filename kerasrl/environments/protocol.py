"""gym 0.26, Gymnasium, older gym and look-alikes as one protocol of five values."""

import contextlib
import copy
import inspect
from typing import Any

import numpy as np

from kerasrl.environments.rendering import draws, in_digits, render, require_display, takes
from kerasrl.errors import UserError, definition


def takes_seed(env: Any) -> bool:
    """Return whether `reset` takes a seed, as it does since gym 0.26."""
    try:
        parameters = inspect.signature(env.reset).parameters
    except (TypeError, ValueError):
        return False
    return "seed" in parameters or any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values())


class Environment:
    """One environment as DQNAgent sees it: `reset` returns an observation, `step` returns five values.

    Takes gym 0.26 and Gymnasium (`reset` -> observation, info; `step` -> five values) as well as older
    gym and `rl.core.Env` (`reset` -> observation; `step` -> four values, where a time limit is indicated by
    `info['TimeLimit.truncated']`). Observations are copied, since environments may reuse theirs.

    `closed` says whether somebody closed the window or pressed Escape in it; nothing is drawn from then on.
    """

    def __init__(self, env: Any, visualize: bool = False) -> None:
        self.env = env
        unwrapped = getattr(env, "unwrapped", env)
        self._reset_takes_seed = takes_seed(unwrapped)
        self._restore_rendering: Any = None
        self._render = self._choose_rendering(unwrapped) if visualize else None
        modes = [getattr(layer, "render_mode", None) for layer in (env, unwrapped)]
        self._has_window = "human" in modes or (visualize and not hasattr(unwrapped, "render_mode"))
        self.closed = False

    def _choose_rendering(self, unwrapped: Any) -> Any:
        """Return what to call after each step; None where the environment draws by itself."""
        modes = getattr(unwrapped, "metadata", {}).get("render_modes", [])
        if not draws(unwrapped) and not _can_render(unwrapped):
            raise UserError(
                f"{type(unwrapped).__name__} draws nothing, so there is nothing to show: pass visualize=False"
            )
        if not hasattr(unwrapped, "render_mode"):  # older gym
            return (lambda: self.env.render(mode="human")) if takes(unwrapped.render, "mode") else self.env.render
        if unwrapped.render_mode is None and hasattr(unwrapped, "ale"):  # opens its own window only when it is made
            require_display()
            return lambda: render(self.env, "human")
        if unwrapped.render_mode is None and "human" in modes:
            require_display()
            self._restore_rendering = lambda: setattr(unwrapped, "render_mode", None)
            unwrapped.render_mode = "human"  # gym 0.26 wants it at gym.make; Keras-RL gives it at fit
        return None if unwrapped.render_mode == "human" else self.env.render

    def stop_rendering(self) -> None:
        """Leave the environment's rendering as it was before."""
        if self._restore_rendering is not None:
            self._restore_rendering()

    def _look_at_window(self) -> None:
        """Remove pygame's window if somebody closed it, which gym does not notice."""
        import pygame

        if not pygame.display.get_init():
            return
        for event in pygame.event.get():  # all of them: in a full queue there is no room for the one that matters
            if event.type == pygame.QUIT or (event.type == pygame.KEYDOWN and event.key == pygame.K_ESCAPE):
                self.closed, self._has_window, self._render = True, False, None
        unwrapped = getattr(self.env, "unwrapped", self.env)
        if not self.closed or getattr(unwrapped, "render_mode", "human") != "human":  # a wrapper continues to draw
            return
        window = pygame.display.get_surface()
        for name, value in list(vars(unwrapped).items()):
            if value is window:  # of no use any more; without it the environment will open another one
                setattr(unwrapped, name, None)
        pygame.display.quit()
        if hasattr(unwrapped, "render_mode"):
            self._restore_rendering = self._restore_rendering or (lambda: setattr(unwrapped, "render_mode", "human"))
            unwrapped.render_mode = None

    def tell(self, episode: int, reward: float) -> None:
        """Write the number of the episode, from 1, and its reward so far into the title of pygame's window, if any."""
        if self._has_window:
            import pygame

            if pygame.display.get_init():
                pygame.display.set_caption(f"episode {episode}   reward {in_digits(reward)}")

    def seed_actions(self, seed: int) -> None:
        """Seed the generator behind `env.action_space.sample()`, which random starts use."""
        space: Any = getattr(self.env, "action_space", None)
        if hasattr(space, "seed"):
            space.seed(seed)

    def reset(self, seed: int | None = None) -> Any:
        """Start an episode, from the environment's own generator if `seed` is None."""
        if seed is None:
            result = self.env.reset()
        elif self._reset_takes_seed:
            result = self.env.reset(seed=seed)
        else:
            seed_environment = getattr(self.env, "seed", None)
            if callable(seed_environment):
                with contextlib.suppress(NotImplementedError):  # rl.core.Env.seed is abstract
                    seed_environment(seed)
            result = self.env.reset()
        if isinstance(result, tuple) and len(result) == 2 and isinstance(result[1], dict):
            result = result[0]
        return self._copied(result, "reset")

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Return observation, reward, terminated, truncated, info.

        Raises:
            UserError: The environment returned something else.
        """
        result = self.env.step(action)
        if result is None:
            raise self._error("step", "None instead of observation, reward, terminated, truncated and info")
        if len(result) == 5:
            observation, reward, terminated, truncated, info = result
        elif len(result) == 4:
            observation, reward, done, info = result
            truncated = bool(done) and isinstance(info, dict) and bool(info.get("TimeLimit.truncated", False))
            terminated = bool(done) and not truncated
        else:
            raise self._error("step", f"{len(result)} values; it must be 5 (older gym: 4)")
        if not isinstance(info, dict):
            raise self._error(
                "step", f"{info!r:.60} as info, which must be a dictionary: {{}} if there is nothing to tell"
            )
        if self._render is not None:
            self._render()
        if self._has_window:
            self._look_at_window()
        return self._copied(observation, "step"), reward, bool(terminated), bool(truncated), info

    def _copied(self, observation: Any, method: str) -> Any:
        if type(observation) is np.ndarray:
            return observation.copy()
        if observation is None:
            raise self._error(method, "None as observation")
        return copy.deepcopy(observation)

    def _error(self, method: str, what: str) -> UserError:
        return UserError(f"the environment's {method}() returned {what}{definition(self.env, method)}")


def _can_render(env: Any) -> bool:
    """Return whether a class has a `render` of its own, not only that of gym.Env, which fails."""
    render = getattr(env, "render", None)
    return render is not None and render.__module__ not in ("gym.core", "gymnasium.core", "rl.core")
