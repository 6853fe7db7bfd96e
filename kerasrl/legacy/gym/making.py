"""`gym.make`, `gym.register` and gym's registry as they were, with the environments of their time.

Imported once gym has been imported.
"""

# The methods are gym's.
# ruff: noqa: D102

import functools
import importlib
import re
import warnings
from collections.abc import Callable
from typing import Any

from kerasrl.compat.quiet import quiet_stderr
from kerasrl.environments import atari, making
from kerasrl.environments.display import has_display, needs_display
from kerasrl.errors import UserError
from kerasrl.legacy.gym import successors
from kerasrl.legacy.gym.names import import_from_project
from kerasrl.legacy.report import report
from kerasrl.phrases import to_install

gym: Any = importlib.import_module("gym")
registration: Any = importlib.import_module("gym.envs.registration")


def _of_inner(name: str) -> property:
    return property(lambda self: getattr(self.env, name), lambda self, value: setattr(self.env, name, value))


class OfGymnasium(gym.Env):
    """An environment of Gymnasium, without wrappers, as one of gym's."""

    render_mode, np_random = _of_inner("render_mode"), _of_inner("np_random")

    def __init__(self, env: Any) -> None:
        self.env = env
        self.metadata = env.metadata
        self.reward_range = getattr(env, "reward_range", gym.Env.reward_range)
        self.observation_space, self.action_space = space(env.observation_space), space(env.action_space)

    def step(self, action: Any) -> Any:
        return self.env.step(action)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        return self.env.reset(seed=seed, options=options)

    def render(self) -> Any:
        return self.env.render()

    def close(self) -> None:
        self.env.close()

    def __getattr__(self, name: str) -> Any:
        if name == "env" or name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.env, name)


def space(of_gymnasium: Any) -> Any:
    """Return gym's space for one of Gymnasium's; a kind that gym does not know is returned as it is."""
    make_same: dict[str, Callable[[Any], Any]] = {
        "Discrete": lambda one: gym.spaces.Discrete(int(one.n), start=int(one.start)),
        "Box": lambda one: gym.spaces.Box(one.low, one.high, one.shape, one.dtype),
        "MultiBinary": lambda one: gym.spaces.MultiBinary(one.n),
        "MultiDiscrete": lambda one: gym.spaces.MultiDiscrete(one.nvec),
        "Dict": lambda one: gym.spaces.Dict({key: space(part) for key, part in one.spaces.items()}),
        "Tuple": lambda one: gym.spaces.Tuple([space(part) for part in one.spaces]),
    }
    return make_same.get(type(of_gymnasium).__name__, lambda one: one)(of_gymnasium)


def _make_of_gymnasium(name: str, **kwargs: Any) -> Any:
    import gymnasium

    try:
        with quiet_stderr():  # the Arcade Learning Environment prints a greeting, MuJoCo what its models should be
            return OfGymnasium(gymnasium.make(name, disable_env_checker=True, **kwargs).unwrapped)
    except gymnasium.error.Error as error:
        raise making.refusal(name, error) from error


def can_be_shown(env: Any = None) -> bool:
    """Return whether a window can be opened, or `env`, an environment or a class of them, needs none; note if not."""
    if (env is None or needs_display(env)) and not has_display():
        report.differs("there is no screen: visualize=True and render() show nothing")
        return False
    return True


def register(id: str, entry_point: Any = None, *args: Any, **kwargs: Any) -> None:
    """Register an environment, also with older gym's arguments; replaces one of the same name."""
    tags = kwargs.pop("tags", None) or {}
    for older in ("trials", "local_only"):
        kwargs.pop(older, None)
    limit = kwargs.pop("timestep_limit", None) or tags.get("wrapper_config.TimeLimit.max_episode_steps")
    if limit is not None:
        report.translated(f"register(..., timestep_limit={limit}) -> max_episode_steps")
        kwargs.setdefault("max_episode_steps", limit)
    id = _plain(id)
    _original_register(id, entry_point, *args, **kwargs)
    registered = registration.get_env_id(*registration.parse_env_id(id))  # which writes v0001 as v1
    registration.registry[registered].tags = tags


def _plain(id: str) -> str:
    """Return an environment's name as gym keeps it: Name-v1 for Name-v0001."""
    return re.sub(r"-v0+(?=\d)", "-v", id)


def make(id: Any, *args: Any, **kwargs: Any) -> Any:
    """Make an environment as `gym.make` does, or today's stand-in for it, without a warning about versions.

    Raises:
        UserError: There is no such environment, or its libraries are missing.
    """
    for older in ("new_step_api", "return_info"):  # which chose between four and five values
        kwargs.pop(older, None)
    if kwargs.get("render_mode") == "human" and not can_be_shown(_class_of(id)):
        del kwargs["render_mode"]
    kwargs.setdefault("disable_env_checker", True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        name = current_name(id) if isinstance(id, str) else id
        try:
            env = _original_make(name, *args, **kwargs)
            if type(env.unwrapped).__module__.startswith("gym.envs.toy_text."):
                env.unwrapped.reset()  # they used to have a state from the start, which may be drawn or read
            return env
        except (gym.error.Error, ImportError) as error:
            raise making.refusal(str(id), error) from error


def current_name(id: str) -> str:
    """Return the name under which gym has an environment; registers those of Atari and Gymnasium.

    Raises:
        UserError: gym dropped it for good, or its libraries are missing.
    """
    module, _, name = _plain(id).rpartition(":")
    if module:
        import_from_project(module)
    registry = registration.registry
    of_mujoco = successors.of_mujoco(name)
    if name in registry and of_mujoco is None:
        return name
    release = successors.removed_in(name)
    if release is not None:
        raise UserError(f"environment {name!r} is missing: gym dropped it in {release} without a successor")
    known = _known_to_gymnasium(name)
    if of_mujoco is not None and of_mujoco not in known:
        raise UserError(f"environment {name!r} cannot be made: its libraries are not installed: {to_install('mujoco')}")
    other = of_mujoco or (
        name if name in known else successors.successor(name, registry) or successors.successor(name, known)
    )
    if other is None:
        return name  # which gym refuses
    if other != name:
        _note_stand_in("gym", name, other)
    if other not in registry:
        of_gymnasium = known[other]
        registration.register(
            id=other,
            entry_point=functools.partial(_make_of_gymnasium, other),
            max_episode_steps=of_gymnasium.max_episode_steps,
            reward_threshold=of_gymnasium.reward_threshold,
        )
    return other


def _note_stand_in(library: str, name: str, other: str) -> None:
    report.translated(f"{library}.make({name!r}) -> {other!r}")
    changes = successors.changes(name, other)
    if changes:
        report.differs(f"{other} stands in for {name}: {changes}")


def _known_to_gymnasium(name: str) -> dict[str, Any]:
    """Return Gymnasium's registry, with the Atari games that it only knows after an import."""
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


def _class_of(id: Any) -> type | None:
    """Return the class that was registered under a name, None if that is unknown."""
    kind = getattr(registration.registry.get(id) if isinstance(id, str) else id, "entry_point", None)
    return kind if isinstance(kind, type) else None


def with_stand_ins(library: Any) -> None:
    """Let Gymnasium's `make` find Atari games and newer versions, and its `Discrete` count in plain integers."""
    original, discrete = library.make, library.spaces.Discrete
    original_init = discrete.__init__

    def make(id: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(id, str) and id not in library.registry and ":" not in id:
            known = _known_to_gymnasium(id)
            other = id if id in known else successors.successor(id, known)
            if other is not None and other != id:
                _note_stand_in("gymnasium", id, other)
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


class Registry(dict[str, Any]):
    """gym's registry, with the methods that it had until gym 0.25."""

    env_specs = property(lambda registry: registry)
    all = dict.values
    make, register, spec = staticmethod(make), staticmethod(register), staticmethod(registration.spec)


def give_back() -> None:
    """Put all of it into gym's modules."""
    registry = Registry(registration.registry)
    registration.registry = gym.envs.registry = registry
    for module in (registration, gym.envs, gym):
        module.make, module.register = make, register
    registration.EnvSpec.timestep_limit = property(lambda spec: spec.max_episode_steps)
    registration.EnvSpec.tags = {}
    registration.EnvSpec.trials = 100
    registration.EnvRegistry = Registry
