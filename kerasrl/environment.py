"""gym 0.26, older gym and look-alikes as one protocol of five values; making and checking environments.

Does not import TensorFlow, so that a wrong environment or a missing display is found at once.
"""

import contextlib
import copy
import difflib
import inspect
import os
import warnings
from typing import Any

import numpy as np

from kerasrl.errors import UserError
from kerasrl.gym_compat import gym, quiet_stderr

SUPPORTED = "supported are Box observations (any shape, numbers) with Discrete actions that start at 0"


def make(env_name: str, render_mode: str | None = None) -> Any:
    """Make a registered gym environment; raises `UserError` naming the nearest names if there is none."""
    if render_mode == "human":
        require_display()
    try:
        # The checker repeats on every step what `check_spaces` asks once; gym 0.26's "out of date"
        # notice would tell people to leave the tutorial's environment.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            options = {} if render_mode is None else {"render_mode": render_mode}  # not every environment takes it
            return gym.make(env_name, disable_env_checker=True, **options)
    except gym.error.UnregisteredEnv:
        names = {name.lower(): name for name in gym.envs.registration.registry}
        nearest = [names[match] for match in difflib.get_close_matches(env_name.lower(), names, n=3, cutoff=0.7)]
        hint = f"did you mean {' or '.join(nearest)}?" if nearest else "one of your own is named module:Name-v0"
        raise UserError(f"no environment is called {env_name!r}; {hint}") from None
    except (gym.error.Error, ImportError, ValueError) as error:
        raise UserError(f"environment {env_name!r} cannot be made: {_one_line(error)}") from error


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
            "there is no screen to open a window on; leave --visualize away, or connect with ssh -X, or run under "
            "xvfb-run"
        )


def check_spaces(env: Any) -> tuple[tuple[int, ...], int]:
    """Return the observation's shape and the number of actions; raise `UserError` if unsupported."""
    actions, observations = env.action_space, env.observation_space
    if type(actions).__name__ != "Discrete" or getattr(actions, "start", 0) != 0:
        raise UserError(f"the action space {actions} is not supported by DQN; {SUPPORTED}")
    if type(observations).__name__ != "Box":
        raise UserError(f"the observation space {observations} is not supported; {SUPPORTED}")
    return tuple(observations.shape), int(actions.n)


class Environment:
    """One environment as DQNAgent sees it: `reset` gives an observation, `step` gives five values.

    Takes gym 0.26 and Gymnasium (`reset` -> observation, info; `step` -> five values) as well as older
    gym and `rl.core.Env` (`reset` -> observation; `step` -> four values, where a time limit is told by
    `info['TimeLimit.truncated']`). Observations are copied, since environments may reuse theirs.
    """

    def __init__(self, env: Any, visualize: bool = False) -> None:
        self.env = env
        unwrapped = getattr(env, "unwrapped", env)
        try:
            parameters = inspect.signature(unwrapped.reset).parameters
        except (TypeError, ValueError):
            parameters = {}  # type: ignore[assignment]
        takes_any = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values())
        self._reset_takes_seed = "seed" in parameters or takes_any
        self._restore_rendering: Any = None
        self._render = self._choose_rendering(unwrapped) if visualize else None

    def _choose_rendering(self, unwrapped: Any) -> Any:
        """Return what to call after each step; None where the environment draws by itself."""
        modes = getattr(unwrapped, "metadata", {}).get("render_modes", [])
        if not hasattr(unwrapped, "render_mode"):  # older gym
            return lambda: self.env.render(mode="human")
        if unwrapped.render_mode is None and "human" in modes:
            require_display()
            self._restore_rendering = lambda: setattr(unwrapped, "render_mode", None)
            unwrapped.render_mode = "human"  # gym 0.26 wants it at gym.make; Keras-RL says it at fit
        return None if unwrapped.render_mode == "human" else self.env.render

    def stop_rendering(self) -> None:
        """Leave the environment's rendering as it was before."""
        if self._restore_rendering is not None:
            self._restore_rendering()

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
        return _copied(result)

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Return observation, reward, terminated, truncated, info."""
        result = self.env.step(action)
        if len(result) == 5:
            observation, reward, terminated, truncated, info = result
        elif len(result) == 4:
            observation, reward, done, info = result
            truncated = bool(done) and bool(info.get("TimeLimit.truncated", False))
            terminated = bool(done) and not truncated
        else:
            raise UserError(
                f"an environment's step must return 5 values (older gym: 4), this one's returns {len(result)}"
            )
        if self._render is not None:
            self._render()
        return _copied(observation), reward, bool(terminated), bool(truncated), info


def _copied(observation: Any) -> Any:
    return observation.copy() if type(observation) is np.ndarray else copy.deepcopy(observation)


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())
