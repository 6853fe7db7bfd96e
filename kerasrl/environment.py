"""gym 0.26, older gym and look-alikes as one protocol of five values; making and checking environments.

Does not import TensorFlow, so that a wrong environment or a missing display is found at once.
"""

import contextlib
import copy
import difflib
import inspect
import os
import re
import sys
import warnings
from typing import Any

import numpy as np

from kerasrl import names
from kerasrl.errors import UserError, to_install
from kerasrl.gym_compat import gym, quiet_stderr

SUPPORTED = (
    "supported are observations in a Box (any shape, numbers), Discrete, or a Dict of these, and Discrete actions "
    "from 0 on"
)

# What environments of a namespace, or those that do not import, need: module to import -> extra of this project.
_EXTRAS = {"gymnasium": "gymnasium", "ale_py": "atari", "minatar": "minatar", "Box2D": "box2d", "box2d": "box2d"}
_NAMESPACES = {"ALE": "ale_py", "MinAtar": "minatar.gym"}


def make(env_name: str, render_mode: str | None = None) -> Any:
    """Make an environment of gym, or of Gymnasium if gym has none of that name.

    Args:
        env_name: `Name-v0`; `module:Name-v0` imports the module, which registers the environment with gym or Gymnasium;
            `gymnasium:Name-v0` never looks in gym; `ALE/...` and `MinAtar/...` need no module.
        render_mode: 'human' for a window, 'rgb_array' for pictures.

    Raises:
        UserError: There is none; the text names the nearest names, or what has to be installed.
    """
    if render_mode == "human":
        require_display()
    module, _, name = env_name.rpartition(":")
    namespace = name.partition("/")[0] if "/" in name else ""
    try:
        # The checker repeats on every step what `check_spaces` asks once; gym 0.26's "out of date"
        # notice would tell people to leave the tutorial's environment.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if module and module != "gymnasium":
                names.module(module)
            if namespace in _NAMESPACES:
                _register(_NAMESPACES[namespace])
            # Not every environment takes a render_mode.
            options: dict[str, Any] = {} if render_mode is None else {"render_mode": render_mode}
            is_in_gym = name in gym.envs.registration.registry
            if module == "gymnasium" or (not is_in_gym and _is_in_gymnasium(name)):
                import gymnasium

                with quiet_stderr():  # the Arcade Learning Environment greets
                    return gymnasium.make(name, disable_env_checker=True, **options)
            older = _is_older(name) or None  # None: as it was registered
            return gym.make(name, disable_env_checker=True, apply_api_compatibility=older, **options)
    except gym.error.UnregisteredEnv:
        raise UserError(f"no environment is called {env_name!r}; {_hint(name)}") from None
    except Exception as error:
        if type(error).__module__ == "gymnasium.error" and "NotFound" in type(error).__name__:
            raise UserError(f"no environment is called {env_name!r}; {_hint(name)}") from None
        missing = [extra for library, extra in _EXTRAS.items() if re.search(rf"\b{library}\b", str(error))]
        is_missing = isinstance(error, ImportError) or type(error).__name__ == "DependencyNotInstalled"
        if is_missing and missing:
            cure = f"its libraries are not installed: {to_install(missing[0])}"
        else:
            cure = _one_line(error)
        raise UserError(f"environment {env_name!r} cannot be made: {cure}") from error


def _register(module: str) -> None:
    """Let a library register its environments with Gymnasium."""
    library = names.module(module)
    import gymnasium

    if hasattr(library, "register_envs"):  # MinAtar; ale_py does it when it is imported after Gymnasium
        library.register_envs()
    else:
        gymnasium.register_envs(library)


def _is_in_gymnasium(name: str) -> bool:
    try:
        import gymnasium
    except ImportError:
        return False
    return name in gymnasium.registry


def _hint(name: str) -> str:
    known = {own.lower(): own for own in gym.envs.registration.registry}
    gymnasium = sys.modules.get("gymnasium")  # imported, if it is installed, when gym did not know the name
    known |= {other.lower(): other for other in gymnasium.registry} if gymnasium else {}
    nearest = [known[match] for match in difflib.get_close_matches(name.lower(), known, n=3, cutoff=0.7)]
    hint = f"did you mean {' or '.join(nearest)}?" if nearest else "one of your own is named module:Name-v0"
    return hint if gymnasium else f"{hint} (for Gymnasium's: {to_install('gymnasium')})"


def _is_older(name: str) -> bool:
    """Tell whether gym has to translate: the environment is older gym's, whose `step` gives four values."""
    spec = gym.envs.registration.registry.get(name)
    entry_point = getattr(spec, "entry_point", None)
    kind: Any = gym.envs.registration.load(entry_point) if isinstance(entry_point, str) else entry_point
    if not inspect.isclass(kind) or _takes_seed(kind):
        return False
    if not hasattr(kind, "seed"):
        # gym's translation calls it; older gym's own Env had it.
        kind.seed = lambda self, seed=None: None  # type: ignore[attr-defined]
    return True


def _takes_seed(env: Any) -> bool:
    """Tell whether `reset` takes a seed, as it does since gym 0.26."""
    try:
        parameters = inspect.signature(env.reset).parameters
    except (TypeError, ValueError):
        return False
    return "seed" in parameters or any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values())


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
            "there is no screen to open a window on; leave --visualize away (from Python: visualize=False), or connect "
            "with ssh -X, or run under xvfb-run"
        )


def check_spaces(env: Any) -> tuple[Any, int]:
    """Return the observation's shape, a dictionary of shapes for a Dict, and the number of actions.

    Raises:
        UserError: A space is not supported.
    """
    actions = env.action_space
    if type(actions).__name__ != "Discrete" or getattr(actions, "start", 0) != 0:
        raise UserError(f"the action space {actions} is not supported by DQN; {SUPPORTED}")
    return _shape(env.observation_space), int(actions.n)


def _shape(space: Any) -> Any:
    kind = type(space).__name__  # gym's and Gymnasium's classes have the same names
    parts = space.spaces if kind == "Dict" else {}
    if parts and all(type(p).__name__ in ("Box", "Discrete") and "/" not in key for key, p in parts.items()):
        return {key: _shape(part) for key, part in space.spaces.items()}
    if kind == "Box" and space.dtype != object:
        return tuple(space.shape)
    if kind == "Discrete":
        return (int(space.n),)
    raise UserError(f"the observation space {space} is not supported; {SUPPORTED}")


def reward_threshold(env: Any) -> float | None:
    """Return the mean reward at which the environment's makers call it solved, None if they name none."""
    return getattr(getattr(env, "spec", None), "reward_threshold", None)


class Environment:
    """One environment as DQNAgent sees it: `reset` gives an observation, `step` gives five values.

    Takes gym 0.26 and Gymnasium (`reset` -> observation, info; `step` -> five values) as well as older
    gym and `rl.core.Env` (`reset` -> observation; `step` -> four values, where a time limit is told by
    `info['TimeLimit.truncated']`). Observations are copied, since environments may reuse theirs.

    `closed` tells that somebody closed the window, or pressed Escape in it; nothing is drawn from then on.
    """

    def __init__(self, env: Any, visualize: bool = False) -> None:
        self.env = env
        unwrapped = getattr(env, "unwrapped", env)
        self._reset_takes_seed = _takes_seed(unwrapped)
        self._restore_rendering: Any = None
        self._render = self._choose_rendering(unwrapped) if visualize else None
        modes = [getattr(layer, "render_mode", None) for layer in (env, unwrapped)]
        self._has_window = "human" in modes or (visualize and not hasattr(unwrapped, "render_mode"))
        self.closed = False

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

    def _look_at_window(self) -> None:
        """Take pygame's window away if somebody closed it, which gym does not notice."""
        import pygame

        if not pygame.display.get_init():
            return
        for event in pygame.event.get():  # all of them: in a full queue there is no room for the one that matters
            if event.type == pygame.QUIT or (event.type == pygame.KEYDOWN and event.key == pygame.K_ESCAPE):
                self.closed, self._has_window, self._render = True, False, None
        unwrapped = getattr(self.env, "unwrapped", self.env)
        if not self.closed or getattr(unwrapped, "render_mode", "human") != "human":  # a wrapper goes on drawing
            return
        window = pygame.display.get_surface()
        for name, value in list(vars(unwrapped).items()):
            if value is window:  # of no use any more; without it the environment will open another one
                setattr(unwrapped, name, None)
        pygame.display.quit()
        if hasattr(unwrapped, "render_mode"):
            self._restore_rendering = self._restore_rendering or (lambda: setattr(unwrapped, "render_mode", "human"))
            unwrapped.render_mode = None

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
        if self._has_window:
            self._look_at_window()
        return _copied(observation), reward, bool(terminated), bool(truncated), info


def _copied(observation: Any) -> Any:
    return observation.copy() if type(observation) is np.ndarray else copy.deepcopy(observation)


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())
