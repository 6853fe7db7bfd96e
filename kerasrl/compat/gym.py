"""What gym 0.26.2 needs to run on NumPy 2 and to stay quiet; importing this module is enough.

Every repair names the upstream file and line. Does not import TensorFlow, so that a wrong environment is found at once.
"""

import contextlib
import functools
import os
import warnings
from typing import Any

import numpy as np

from kerasrl.compat.step_api import TIME_LIMIT, to_five_values

# gym/utils/passive_env_checker.py:225 tests against np.bool8 and
# gym/envs/classic_control/acrobot.py:446 allocates np.float_; NumPy 2 dropped both aliases.
for _name, _type in (("bool8", np.bool_), ("float_", np.float64)):
    if _name not in vars(np):
        setattr(np, _name, _type)

# gym/__init__.py:38 prints a notice from this table on stderr whenever it is imported.
with contextlib.suppress(ImportError):
    import gym_notices.notices

    gym_notices.notices.notices.clear()

# gym/logger.py:17 shows the DeprecationWarnings of every module below gym, whatever the user chose.
with warnings.catch_warnings():
    import gym as gym
    from gym.envs.classic_control.pendulum import PendulumEnv


def _reset(self: Any, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
    if seed is not None:
        self.env.seed(seed)
    observation = self.env.reset()
    if self.render_mode == "human":
        self.render()
    return observation, {}


def _step(self: Any, action: Any) -> tuple[Any, Any, bool, bool, Any]:
    observation, reward, done, info = self.env.step(action)
    if self.render_mode == "human":
        self.render()
    *values, info = to_five_values(observation, reward, done, info)
    if isinstance(info, dict):
        info.pop(TIME_LIMIT, None)  # `truncated` says it
    return *values, info


# gym/utils/step_api_compatibility.py:63 takes an info of None for a dictionary and fails, far from its origin.
gym.wrappers.compatibility.EnvCompatibility.step = _step  # type: ignore[method-assign]
# gym/wrappers/compatibility.py:92 draws an older environment before its reset, when there is nothing to draw yet.
gym.wrappers.compatibility.EnvCompatibility.reset = _reset  # type: ignore[method-assign]

# gym/envs/classic_control/pendulum.py:231 hands pygame a size in 32 bits, of which it takes no float but Python's, if
# the action had 32 bits, as those of networks have.
PendulumEnv.last_u = property(
    lambda self: vars(self)["last_u"], lambda self, u: vars(self).update(last_u=None if u is None else float(u))
)


class _As64Bits(np.ndarray):
    """Numbers that become Python's when they are rounded to 32 bits."""

    def astype(self, dtype: Any, *args: Any, **kwargs: Any) -> Any:
        return np.asarray(self).astype(dtype, *args, **kwargs).astype(np.float64)


_load_of_gym = getattr(gym.envs.registration.load, "__wrapped__", gym.envs.registration.load)


@functools.wraps(_load_of_gym)
def _load(name: str) -> Any:
    found = _load_of_gym(name)
    if getattr(found, "__name__", "") in ("LunarLander", "CarRacing") and found.__module__.startswith("gym.envs.box2d"):
        found.step = _in_64_bits(found.step)
    return found


def _in_64_bits(step: Any) -> Any:
    if hasattr(step, "__wrapped__"):  # already
        return step

    @functools.wraps(step)
    def step_in_64_bits(self: Any, action: Any) -> Any:
        is_array = self.continuous and action is not None
        return step(self, np.asarray(action, np.float64).view(_As64Bits) if is_array else action)

    return step_in_64_bits


# gym/envs/box2d/lunar_lander.py:480 rounds actions to 32 bits, of which NumPy 2 computes 32 bits again, and
# car_racing.py:524 takes them as they are; Box2D takes no float but Python's, which those of 64 bits are.
gym.envs.registration.load = _load

# pygame/pkgdata.py:25 imports pkg_resources, whose deprecation notice is for pygame's authors.
warnings.filterwarnings("ignore", message="pkg_resources is deprecated")
# pygame/__init__.py prints a greeting on stdout; gym sets this too, but only in gym/__init__.py:26.
os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "hide")
# SDL fills its windows through OpenGL. Mesa's software driver then calls into LLVM, finds the one that
# libtensorflow_framework.so exports instead of its own, and crashes (gym/envs/classic_control/cartpole.py:230).
os.environ.setdefault("SDL_FRAMEBUFFER_ACCELERATION", "0")
# SDL turns SIGTERM into an event that nobody reads, so that it could not end a process that draws.
os.environ.setdefault("SDL_NO_SIGNAL_HANDLERS", "1")
