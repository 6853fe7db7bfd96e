"""What gym's classes had until 0.25, given back: methods of environments and wrappers, spaces, generators.

Imported once gym has been imported.
"""

# The methods are gym's, and those of NumPy's RandomState.
# ruff: noqa: D102

import functools
import hashlib
import importlib
import inspect
import secrets
from typing import Any

import numpy as np

from kerasrl import seeds
from kerasrl.compat.step_api import has_info, to_five_values
from kerasrl.environments.instances import is_of_a_library, takes_seed
from kerasrl.environments.seeding import seed as seed_environment
from kerasrl.environments.seeding import set_seed
from kerasrl.legacy.report import report
from kerasrl.legacy.script import script

gym: Any = importlib.import_module("gym")
seeding: Any = importlib.import_module("gym.utils.seeding")
OrderEnforcing, TimeLimit = gym.wrappers.OrderEnforcing, gym.wrappers.TimeLimit

# gym before 0.9.6 called these methods of an environment or wrapper under the names without the underscore.
PRIVATE = ("step", "reset", "render", "seed", "close", "configure", "observation", "reward", "action", "reverse_action")
# Methods of library wrappers that hand on what they get, whatever it is.
_PASSING = (gym.Wrapper, gym.ActionWrapper, OrderEnforcing)


class FiveValues(gym.Wrapper):
    """An environment of older gym as gym 0.26's wrappers want it: `step` gives five values, `reset` two."""

    @property
    def unwrapped(self) -> Any:
        """The innermost environment, which may come from elsewhere than gym."""
        return getattr(self.env, "unwrapped", self.env)

    def step(self, action: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        result = self.env.step(action)
        return result if len(result) != 4 else to_five_values(*result)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        if not takes_seed(self.unwrapped):
            if seed is not None:
                seed_environment(self.env, seed)
            result = self.env.reset()
        else:
            given = {"seed": seed, "options": options}
            result = self.env.reset(**{name: value for name, value in given.items() if value is not None})
        return result if has_info(result) else (result, {})


def _unpacks(wrapper: Any) -> bool:
    """Return whether a wrapper's `step` or `reset` is gym's own, and unpacks five values, or two."""
    homes = (next(layer for layer in type(wrapper).__mro__ if name in vars(layer)) for name in ("step", "reset"))
    return any(home.__module__.startswith("gym.") and home not in _PASSING for home in homes)


def _is_older(env: Any) -> bool:
    """Return whether an environment may give four values, because somebody's own `step` or `reset` answers."""
    while is_of_a_library(type(env).step) and is_of_a_library(type(env).reset):
        if not isinstance(env, gym.Wrapper) or isinstance(env, FiveValues) or _unpacks(env):
            return False
        env = env.env
    return True


def _init_wrapper(self: Any, env: Any) -> None:
    _original_init(self, env)
    if not isinstance(self, FiveValues) and _unpacks(self) and _is_older(env):
        self.env = FiveValues(env)


def _init_time_limit(
    self: Any, env: Any, max_episode_steps: int | None = None, *older: int, max_episode_seconds: float | None = None
) -> None:
    if older:  # (env, max_episode_seconds, max_episode_steps)
        max_episode_steps = older[0]
    if not hasattr(env, "spec"):
        env.spec = None
    _original_init_time_limit(self, env, max_episode_steps)


def _of_wrapped(self: Any, name: str) -> Any:
    """Return an attribute of the wrapped environment, even a private one."""
    if name == "env" or name.startswith("__"):
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
    return getattr(self.env, name)


def _set_in_wrapped(self: Any, name: str, value: Any) -> None:
    """Set an attribute where it lives: before gym 0.21 nothing stood between TimeLimit and the environment."""
    if name in self.__dict__ or name in _OWN or hasattr(type(self), name) or not hasattr(self.env, name):
        object.__setattr__(self, name, value)
    else:
        setattr(self.env, name, value)


_OWN = {
    "env", "_action_space", "_observation_space", "_reward_range", "_metadata", "_has_reset",
    "_disable_render_order_enforcing",
}  # fmt: skip


def _seed(self: Any, seed: int | None = None) -> list[int | None]:
    """Let the next episode start from `seed`, as until gym 0.25."""
    if type(self).seed is not _seed:  # asked by a `seed` of the script's own with super()
        if isinstance(self, gym.Wrapper):
            self.env.seed(seed)
        else:
            set_seed(self, seed)
        return [seed]
    if script.is_asking() and seed is not None:
        report.translated(f"env.seed({seed}) -> the next reset takes it")
        seeds.hold(seed)
        seeds.mark(self.unwrapped)
    return seed_environment(self, seed)


def _init_subclass(cls: Any, **kwargs: Any) -> None:
    """Let methods with an underscore, as before gym 0.9.6, also be called without it."""
    super(gym.Env, cls).__init_subclass__(**kwargs)
    for name in PRIVATE:
        private, today = vars(cls).get(f"_{name}"), getattr(cls, name, None)
        is_gyms = is_of_a_library(today) if today is not None else name == "configure"
        if inspect.isfunction(private) and name not in vars(cls) and is_gyms:
            setattr(cls, name, _public(private, name))


def _public(private: Any, name: str) -> Any:
    return functools.wraps(private)(lambda self, *args, **kwargs: getattr(self, f"_{name}")(*args, **kwargs))


class RandomState(np.random.Generator):
    """NumPy's generator, with RandomState's methods too, which `np_random` had until gym 0.21."""

    def rand(self, *size: int) -> Any:
        return self.random(size or None)

    def randn(self, *size: int) -> Any:
        return self.standard_normal(size or None)

    def randint(self, low: Any, high: Any = None, size: Any = None, dtype: Any = int) -> Any:
        return self.integers(low, high, size, dtype)

    def random_integers(self, low: Any, high: Any = None, size: Any = None) -> Any:
        return self.integers(1 if high is None else low, low if high is None else high, size, endpoint=True)

    def random_sample(self, size: Any = None) -> Any:
        return self.random(size)

    sample = ranf = random_sample

    def tomaxint(self, size: Any = None) -> Any:
        return self.integers(np.iinfo(np.int64).max, size=size, endpoint=True)

    def seed(self, seed: int | None = None) -> None:
        self.bit_generator.state = type(self.bit_generator)(seed).state

    def get_state(self) -> Any:
        return self.bit_generator.state

    def set_state(self, state: Any) -> None:
        self.bit_generator.state = state

    def __reduce__(self) -> Any:
        return type(self), (self.bit_generator,)


def np_random(seed: Any = None) -> tuple[Any, Any]:
    """Return a generator and its seed."""
    return _original_np_random(int(seed) if isinstance(seed, np.integer | float) else seed)  # type: ignore[no-any-return]


def hash_seed(seed: int | str | None = None, max_bytes: int = 8) -> int:
    """Return a number that is unlike those of neighbouring seeds."""
    digest = hashlib.sha512(str(create_seed(seed) if seed is None else seed).encode()).digest()
    return int.from_bytes(digest[:max_bytes], "little")


def create_seed(a: int | str | None = None, max_bytes: int = 8) -> int:
    """Return a seed within `max_bytes` bytes; a random one for None."""
    if a is None:
        a = secrets.randbits(8 * max_bytes)
    return (hash_seed(a, max_bytes) if isinstance(a, str) else a) % (1 << 8 * max_bytes)


def _init_box(self: Any, low: Any, high: Any, shape: Any = None, dtype: Any = np.float32, seed: Any = None) -> None:
    low, high = (np.asarray(limit) if isinstance(limit, list | tuple) else limit for limit in (low, high))
    shape = (shape,) if isinstance(shape, int | np.integer) else shape
    with np.errstate(over="ignore", invalid="ignore"):
        _original_init_box(self, low, high, shape, np.float32 if dtype is None else dtype, seed)


def _init_discrete(self: Any, n: Any, seed: Any = None, start: int = 0) -> None:
    _original_init_discrete(self, int(n) if isinstance(n, float) and n == int(n) else n, seed, start)


def _init_multi_discrete(self: Any, nvec: Any, *args: Any, **kwargs: Any) -> None:
    limits = np.asarray(nvec)
    if limits.ndim == 2 and limits.shape[1] == 2 and (limits == 0).any():  # gym before 0.9.7: [[low, high], ...]
        report.translated("MultiDiscrete([[low, high], ...]) -> MultiDiscrete([high - low + 1, ...])")
        nvec = limits[:, 1] - limits[:, 0] + 1
    _original_init_multi_discrete(self, nvec, *args, **kwargs)


_original_init = gym.Wrapper.__init__
_original_init_time_limit = TimeLimit.__init__
_original_np_random = seeding.np_random
_original_init_box = gym.spaces.Box.__init__
_original_init_discrete = gym.spaces.Discrete.__init__
_original_init_multi_discrete = gym.spaces.MultiDiscrete.__init__


def give_back() -> None:
    """Put all of it into gym's classes and modules."""
    gym.Env.__init_subclass__ = classmethod(_init_subclass)  # type: ignore[arg-type]
    gym.Env.seed = _seed
    gym.Wrapper.__init__ = _init_wrapper
    gym.Wrapper.__getattr__ = _of_wrapped
    for kind in (OrderEnforcing, FiveValues):
        setattr(kind, "__setattr__", _set_in_wrapped)  # noqa: B010
    TimeLimit.__init__ = _init_time_limit
    gym.spaces.Box.__init__ = _init_box
    gym.spaces.Discrete.__init__ = _init_discrete
    gym.spaces.MultiDiscrete.__init__ = _init_multi_discrete
    seeding.RandomNumberGenerator = seeding.RNG = RandomState
    seeding.np_random, seeding.hash_seed, seeding.create_seed = np_random, hash_seed, create_seed
