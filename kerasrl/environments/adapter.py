"""How an environment is played: gym 0.26, Gymnasium, older gym and look-alikes as one protocol of five values."""

import contextlib
import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from kerasrl.compat.step_api import at_the_end, has_info, to_five_values
from kerasrl.diagnosis import definition
from kerasrl.environments.display import draws, require_display
from kerasrl.environments.instances import require_single, takes, takes_seed
from kerasrl.environments.rendering import caption, draws_itself, render
from kerasrl.errors import UserError
from kerasrl.signals import Stopped


@dataclass(frozen=True)
class Playing:
    """The settings of `fit` and `test` that say how they play; `vars` returns them as keyword arguments for both."""

    action_repetition: int = 1
    """Times each action is repeated within a step."""
    visualize: bool = False
    """Show the environment in a window."""
    nb_max_start_steps: int = 0
    """Upper limit of the number of steps at the start of each episode that are not learned from."""
    start_step_policy: Callable[[Any], Any] | None = None
    """Policy for those steps, observation -> action; with None they are random."""
    nb_max_episode_steps: int | None = None
    """Time limit of an episode in steps."""
    seed: int | None = None
    """Seed of all random numbers; the environment gets one made from (seed, k) in the k-th episode."""
    action_masks: bool = True
    """Take only actions that the environment says are legal, if it says so."""


def copied(observation: Any) -> Any:
    """Return a copy of an observation, since whoever made it may use its memory for the next one."""
    return observation.copy() if type(observation) is np.ndarray else copy.deepcopy(observation)


class EnvironmentAdapter:
    """One environment as agents see it: `reset` returns an observation, `step` returns five values.

    Takes gym 0.26 and Gymnasium (`reset` -> observation, info; `step` -> five values) as well as older
    gym and `rl.core.Env` (`reset` -> observation; `step` -> four values, where `info['TimeLimit.truncated']`
    indicates a time limit). Observations are copied, since environments may reuse theirs.

    `closed` says whether somebody closed the window or pressed Escape in it; nothing is drawn from then on.
    """

    def __init__(self, env: Any, visualize: bool = False) -> None:
        require_single(env)
        self.env = env
        self._unwrapped = unwrapped = getattr(env, "unwrapped", env)
        self._reset_takes_seed = takes_seed(unwrapped)
        self._restore_rendering: Any = None
        self._drawing: _Drawing | None = None
        self._render = self._choose_rendering(unwrapped) if visualize else None
        modes = [getattr(layer, "render_mode", None) for layer in (env, unwrapped)]
        self._has_window = "human" in modes or (visualize and not hasattr(unwrapped, "render_mode"))
        self.closed = False
        self.first_info: dict[str, Any] = {}  # of the episode, from `reset`

    def _choose_rendering(self, unwrapped: Any) -> Any:
        """Return what to call after each step; None if the environment draws by itself."""
        modes = getattr(unwrapped, "metadata", {}).get("render_modes", [])
        home = getattr(getattr(unwrapped, "render", None), "__module__", "gym.core")
        if not draws(unwrapped) and home in ("gym.core", "gymnasium.core", "rl.core"):  # whose Env.render fails
            raise UserError(
                f"{type(unwrapped).__name__} draws nothing, so there is nothing to show: pass visualize=False"
            )
        if not hasattr(unwrapped, "render_mode"):  # older gym
            return (lambda: self.env.render(mode="human")) if takes(unwrapped.render, "mode") else self.env.render
        if unwrapped.render_mode in (None, "human") and "human" in modes and draws_itself(self.env):
            require_display(self.env)
            self._let_draw_for_people(unwrapped)
            drawing = self._drawing = _Drawing(unwrapped)
            return lambda: drawing.draw_unless_it_does(self.env)
        if unwrapped.render_mode is None and hasattr(unwrapped, "ale"):  # only gym.make opens Atari's own window
            require_display()
            return lambda: render(self.env, "human")
        if unwrapped.render_mode is None and "human" in modes:
            require_display()
            self._let_draw_for_people(unwrapped)
        return None if unwrapped.render_mode == "human" else self.env.render

    def _let_draw_for_people(self, unwrapped: Any) -> None:
        """Set the render mode, which gym 0.26 wants at gym.make, and Keras-RL gives at fit."""
        before, unwrapped.render_mode = unwrapped.render_mode, "human"
        self._restore_rendering = lambda: setattr(unwrapped, "render_mode", before)

    def stop_rendering(self) -> None:
        """Restore the environment's own way of rendering."""
        if self._drawing is not None:
            self._drawing.end()
        if self._restore_rendering is not None:
            self._restore_rendering()

    def _look_at_window(self) -> None:
        """Remove pygame's window if somebody has closed it, which gym does not notice."""
        import pygame

        if not pygame.display.get_init():
            return
        for event in pygame.event.get():  # all of them: a full queue would drop the one that matters
            if event.type == pygame.QUIT or (event.type == pygame.KEYDOWN and event.key == pygame.K_ESCAPE):
                self.closed, self._has_window, self._render = True, False, None
        unwrapped = self._unwrapped
        if not self.closed or getattr(unwrapped, "render_mode", "human") != "human":  # a wrapper goes on drawing
            return
        window = pygame.display.get_surface()
        for name, value in list(vars(unwrapped).items()):
            if value is window:  # useless now; without it the environment will open a new one
                setattr(unwrapped, name, None)
        pygame.display.quit()
        if hasattr(unwrapped, "render_mode"):
            self._restore_rendering = self._restore_rendering or (lambda: setattr(unwrapped, "render_mode", "human"))
            unwrapped.render_mode = None

    def tell(self, episode: int, reward: float) -> None:
        """Put the number of the episode, from 1, and its reward so far into the title of pygame's window, if any."""
        if self._has_window:
            import pygame

            if pygame.display.get_init():
                pygame.display.set_caption(caption(f"episode {episode}", reward))

    def seed_actions(self, seed: int) -> None:
        """Seed the generator behind `env.action_space.sample()`, which random starts use."""
        space: Any = getattr(self.env, "action_space", None)
        if hasattr(space, "seed"):
            space.seed(seed)

    def reset(self, seed: int | None = None) -> Any:
        """Start an episode, from the environment's own generator if `seed` is None."""
        try:
            if seed is not None and self._reset_takes_seed:
                result = self.env.reset(seed=seed)
            else:
                if seed is not None and callable(seed_environment := getattr(self.env, "seed", None)):
                    with contextlib.suppress(NotImplementedError):  # rl.core.Env.seed is abstract
                        seed_environment(seed)
                result = self.env.reset()
        except SystemExit as exit:
            raise _left(exit) from None
        result, self.first_info = result if has_info(result) else (result, {})
        return self._checked(result, "reset")

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Return observation, reward, terminated, truncated, info; raise `UserError` if the environment did not."""
        try:
            result = self.env.step(action)
        except SystemExit as exit:
            raise _left(exit) from None
        if result is None:
            raise self._error("step", "None instead of observation, reward, terminated, truncated and info")
        if len(result) == 5:
            observation, reward, terminated, truncated, info = result
        elif len(result) == 4:
            observation, reward, terminated, truncated, info = to_five_values(*result)
        else:
            raise self._error("step", f"{len(result)} values; there must be 5 (older gym: 4)")
        if not isinstance(info, dict):
            what = f"{info!r:.60} as info, which must be a dictionary: {{}} if there is nothing to tell"
            raise self._error("step", what)
        if type(terminated) is not bool:
            terminated = self._truth(terminated, "terminated" if len(result) == 5 else "done")
        if type(truncated) is not bool:
            truncated = self._truth(truncated, "truncated")
        if terminated or truncated:
            observation, info = at_the_end(observation, info)
        if self._render is not None:
            self._render()
        if self._has_window:
            self._look_at_window()
        observation = observation.copy() if type(observation) is np.ndarray else self._checked(observation, "step")
        return observation, reward, terminated, truncated, info

    def _truth(self, value: Any, name: str) -> bool:
        """Return a value as a bool; raise `UserError` if it is neither true nor false."""
        if isinstance(value, np.bool_ | int):
            return bool(value)
        try:
            array = np.asarray(value)
        except ValueError:  # lists of different lengths
            array = np.array("")
        if value is None or (array.size == 1 and array.dtype.kind in "biuf" and not np.isnan(array.item())):
            return bool(array.item())
        raise self._error("step", f"{value!r:.60} as {name}, which must be True or False")

    def _checked(self, observation: Any, method: str) -> Any:
        if observation is None:
            raise self._error(method, "None as observation")
        return copied(observation)

    def _error(self, method: str, what: str) -> UserError:
        return UserError(f"the environment's {method}() returned {what}{definition(self.env, method)}")


class _Drawing:
    """Finds out whether somebody's own environment calls its `render` in each step, as gym's have since 0.26."""

    def __init__(self, unwrapped: Any) -> None:
        self._env, self._render, self._is_called = unwrapped, unwrapped.render, False
        self._own = {name: value for name, value in vars(unwrapped).items() if name == "render"}
        unwrapped.render = self._note

    def end(self) -> None:
        """Give the environment its own `render` back."""
        vars(self._env).pop("render", None)
        vars(self._env).update(self._own)

    def _note(self, *arguments: Any, **options: Any) -> Any:
        self._is_called = True
        return self._render(*arguments, **options)

    def draw_unless_it_does(self, env: Any) -> None:
        """Draw what a step has led to."""
        self.end()
        if not self._is_called:
            render(env, "human")


def _left(exit: SystemExit) -> BaseException:
    """Return what to raise where an environment, rather than a signal, would end the program."""
    if isinstance(exit, Stopped):
        return exit
    return RuntimeError(f"it called sys.exit({exit.code!r})").with_traceback(exit.__traceback__)
