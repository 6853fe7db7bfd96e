"""`gym.make`, `gym.register` and gym's registry as they were, with the environments of their time.

Imported when gym has been imported.
"""

import functools
import importlib
import re
import warnings
from collections.abc import Iterable
from typing import Any

from kerasrl.compat.quiet import quiet_stderr
from kerasrl.environments import atari, making
from kerasrl.environments.rendering import has_display
from kerasrl.errors import UserError
from kerasrl.legacy import gym_names
from kerasrl.legacy.notes import notes

gym: Any = importlib.import_module("gym")
registration: Any = importlib.import_module("gym.envs.registration")

# Tag of gym 0.7 -> the argument that it is today.
_TIME_LIMIT = "wrapper_config.TimeLimit.max_episode_steps"
# Arguments of `gym.make` that today's does not take: they chose between four and five values.
_VALUES = ("new_step_api", "return_info")
_NO_SCREEN = "there is no screen: visualize=True and render() show nothing"


class OfGymnasium(gym.Env):
    """An environment of Gymnasium, as one of gym's.

    Args:
        env: The environment, without wrappers.
    """

    def __init__(self, env: Any) -> None:
        self.env = env
        self.metadata = env.metadata
        self.reward_range = getattr(env, "reward_range", gym.Env.reward_range)
        self.observation_space, self.action_space = space(env.observation_space), space(env.action_space)

    @property
    def render_mode(self) -> Any:
        """How the environment draws."""
        return self.env.render_mode

    @render_mode.setter
    def render_mode(self, mode: str | None) -> None:
        self.env.render_mode = mode

    @property
    def np_random(self) -> Any:
        """The environment's generator."""
        return self.env.np_random

    @np_random.setter
    def np_random(self, generator: Any) -> None:
        self.env.np_random = generator

    def step(self, action: Any) -> Any:
        """Return observation, reward, terminated, truncated, info."""
        return self.env.step(action)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        """Return observation and info."""
        return self.env.reset(seed=seed, options=options)

    def render(self) -> Any:
        """Draw as `render_mode` says."""
        return self.env.render()

    def close(self) -> None:
        """Close the environment."""
        self.env.close()

    def __getattr__(self, name: str) -> Any:
        if name == "env" or name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.env, name)


def space(of_gymnasium: Any) -> Any:
    """Return one of gym's spaces for one of Gymnasium's; a kind that gym does not know as it is."""
    one, kind = of_gymnasium, type(of_gymnasium).__name__
    if kind == "Discrete":
        return gym.spaces.Discrete(int(one.n), start=int(one.start))
    if kind == "Box":
        return gym.spaces.Box(one.low, one.high, one.shape, one.dtype)
    if kind == "MultiBinary":
        return gym.spaces.MultiBinary(one.n)
    if kind == "MultiDiscrete":
        return gym.spaces.MultiDiscrete(one.nvec)
    if kind == "Dict":
        return gym.spaces.Dict({key: space(part) for key, part in one.spaces.items()})
    if kind == "Tuple":
        return gym.spaces.Tuple([space(part) for part in one.spaces])
    return one


def _make_of_gymnasium(name: str, **kwargs: Any) -> Any:
    import gymnasium

    with quiet_stderr():  # the Arcade Learning Environment prints a greeting
        return OfGymnasium(gymnasium.make(name, disable_env_checker=True, **kwargs).unwrapped)


def can_be_shown() -> bool:
    """Return whether a window can be opened; tell it, once, if not."""
    if not has_display():
        notes.differs(_NO_SCREEN)
        return False
    return True


class Registry(dict[str, Any]):
    """gym's registry, also by the methods that it had until gym 0.25."""

    @property
    def env_specs(self) -> "Registry":
        """The dictionary itself."""
        return self

    def all(self) -> Iterable[Any]:
        """Return all specifications."""
        return self.values()

    def make(self, id: Any, **kwargs: Any) -> Any:
        """Make an environment."""
        return make(id, **kwargs)

    def spec(self, id: str) -> Any:
        """Return an environment's specification."""
        return registration.spec(id)

    def register(self, id: str, **kwargs: Any) -> None:
        """Register an environment."""
        register(id, **kwargs)


def register(id: str, entry_point: Any = None, *args: Any, **kwargs: Any) -> None:
    """Register an environment, also with the arguments of older gym; one of the same name is replaced."""
    tags = kwargs.pop("tags", None) or {}
    for older in ("trials", "local_only"):
        kwargs.pop(older, None)
    limit = kwargs.pop("timestep_limit", None) or tags.get(_TIME_LIMIT)
    if limit is not None:
        notes.translated(f"register(..., timestep_limit={limit}) -> max_episode_steps")
        kwargs.setdefault("max_episode_steps", limit)
    id = _plain(id)
    _original_register(id, entry_point, *args, **kwargs)
    registered = registration.get_env_id(*registration.parse_env_id(id))  # which writes v0001 as v1
    registration.registry[registered].tags = tags


def _plain(id: str) -> str:
    """Return an environment's name as gym keeps it: Name-v1 for Name-v0001."""
    return re.sub(r"-v0+(?=\d)", "-v", id)


def make(id: Any, *args: Any, **kwargs: Any) -> Any:
    """Make an environment as `gym.make` does, or the one that stands in for it today; nothing is said about versions.

    Raises:
        UserError: There is none, or its libraries are missing.
    """
    for older in _VALUES:
        kwargs.pop(older, None)
    if kwargs.get("render_mode") == "human" and not can_be_shown():
        del kwargs["render_mode"]
    kwargs.setdefault("disable_env_checker", True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        name = today(id) if isinstance(id, str) else id
        try:
            env = _original_make(name, *args, **kwargs)
            if type(env.unwrapped).__module__.startswith("gym.envs.toy_text."):
                env.unwrapped.reset()  # they had a state from the start, which is drawn and read before the first reset
            return env
        except (gym.error.Error, ImportError) as error:
            raise making.refusal(str(id), error) from error


def today(id: str) -> str:
    """Return the name under which gym has an environment; registers those of Atari and of Gymnasium.

    Raises:
        UserError: gym dropped it for good, or its libraries are missing.
    """
    module, _, name = _plain(id).rpartition(":")
    if module:
        from kerasrl.legacy.gym import import_from_project

        import_from_project(module)
    registry = registration.registry
    if name in registry:
        return name
    release = gym_names.removed_in(name)
    if release is not None:
        raise UserError(f"environment {name!r} is missing: gym dropped it in {release} without a successor")
    known = _known_to_gymnasium(name)
    other = name if name in known else gym_names.successor(name, registry) or gym_names.successor(name, known)
    if other is None:
        return name  # which gym refuses
    if other != name:
        _tell_stand_in("gym", name, other)
    if other not in registry:
        of_gymnasium = known[other]
        registration.register(
            id=other,
            entry_point=functools.partial(_make_of_gymnasium, other),
            max_episode_steps=of_gymnasium.max_episode_steps,
            reward_threshold=of_gymnasium.reward_threshold,
        )
    return other


def _tell_stand_in(library: str, name: str, other: str) -> None:
    notes.translated(f"{library}.make({name!r}) -> {other!r}")
    changes = gym_names.changes(name, other)
    if changes:
        notes.differs(f"{other} stands in for {name}: {changes}")


def _known_to_gymnasium(name: str) -> dict[str, Any]:
    """Return Gymnasium's registry, with the Atari games that it knows only after an import.

    Raises:
        UserError: The name is that of an Atari game, and ale_py is not installed.
    """
    try:
        atari.register(name)
        if name.startswith(("ALE/", "MinAtar/")):
            making.register_all({"ALE": "ale_py", "MinAtar": "minatar.gym"}[name.partition("/")[0]])
        import gymnasium
    except ImportError as error:
        if atari.options(name) or "/" in name:
            raise making.refusal(name, error) from error
        return {}
    return gymnasium.registry


def _limit(self: Any) -> Any:
    return self.max_episode_steps


def with_stand_ins(library: Any) -> None:
    """Let Gymnasium's `make` find Atari games and newer versions, and its `Discrete` count in plain ints."""
    original, discrete = library.make, library.spaces.Discrete
    original_init = discrete.__init__

    def make(id: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(id, str) and id not in library.registry and ":" not in id:
            known = _known_to_gymnasium(id)
            other = id if id in known else gym_names.successor(id, known)
            if other is not None and other != id:
                _tell_stand_in("gymnasium", id, other)
                id = other
        if kwargs.get("render_mode") == "human" and not can_be_shown():
            del kwargs["render_mode"]
        with quiet_stderr():
            return original(id, *args, **kwargs)

    @functools.wraps(original_init)
    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        original_init(self, *args, **kwargs)
        self.n = int(self.n)

    library.make = functools.wraps(original)(make)
    discrete.__init__ = init


_original_make, _original_register = registration.make, registration.register


def give_back() -> None:
    """Put all of it into gym's modules."""
    registry = Registry(registration.registry)
    registration.registry = gym.envs.registry = registry
    for module in (registration, gym.envs, gym):
        module.make, module.register = make, register
    registration.EnvSpec.timestep_limit = property(_limit)
    registration.EnvSpec.tags = {}
    registration.EnvSpec.trials = 100
    registration.EnvRegistry = Registry
