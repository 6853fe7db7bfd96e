"""What an environment shows, as spaces and as arrays, and which actions it takes."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from kerasrl.errors import UserError

SUPPORTED = (
    "supported are observations in a Box (numbers, any shape), Discrete, or a Dict of these, and actions in a Box of "
    "numbers, or Discrete ones that start at 0"
)


@dataclass(frozen=True)
class Spaces:
    """What an environment shows and takes; each agent has its own rule about the actions that it can learn."""

    observation: Any
    """Shape of an observation; for a Dict a dictionary of shapes by key, which is a text, as the inputs' names are."""
    actions: Any
    """The action space, whatever its class."""
    nb_actions: int | None
    """Number of actions in a Discrete space that starts at 0, None for other spaces."""
    action_shape: tuple[int, ...] | None
    """Shape of an action in a Box of numbers, None for other spaces; its bounds are `actions.low` and `.high`."""

    @property
    def bounds(self) -> tuple[np.ndarray, np.ndarray] | None:
        """Lowest and highest continuous action, in the environment's shape; None for other spaces."""
        return None if self.action_shape is None else (np.array(self.actions.low), np.array(self.actions.high))

    def require_bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the bounds of continuous actions; raise `UserError` if they are others."""
        if self.bounds is None:
            raise UserError(f"the action space {self.actions} is not continuous: a Box of numbers")
        return self.bounds

    @property
    def kind(self) -> str | None:
        """The kind of actions: discrete, continuous, or None for those that no agent takes."""
        return "discrete" if self.nb_actions is not None else "continuous" if self.action_shape is not None else None

    def require(self, kind: str, agent: str) -> int:
        """Return the number of actions, or of numbers in a continuous one; raise `UserError` if they are others."""
        if self.kind != kind:
            raise UserError(f"the action space {self.actions} is not supported by {agent}; {SUPPORTED}")
        return self.nb_actions if self.nb_actions is not None else int(np.prod(self.action_shape or (1,)))

    def require_discrete(self, agent: str) -> int:
        """Return the number of actions; raise `UserError` unless they are Discrete and start at 0."""
        return self.require("discrete", agent)


def describe_spaces(env: Any) -> Spaces:
    """Return what an environment shows and takes; raise `UserError` if its observations are not supported."""
    actions = env.action_space
    kind, nb_actions, shape = kind_of(actions), None, None
    if kind == "Discrete" and getattr(actions, "start", 0) == 0:
        nb_actions = int(actions.n)
    if kind == "Box" and np.issubdtype(actions.dtype, np.number):
        shape = tuple(actions.shape)
    return Spaces(_shape(env.observation_space), actions, nb_actions, shape)


def check_spaces(env: Any, agent: str = "DQN") -> tuple[Any, int]:
    """Return an observation's shape (by key for a Dict) and the number of actions; raise `UserError` for others."""
    spaces = describe_spaces(env)
    return spaces.observation, spaces.require_discrete(agent)


def require_alike(env: Any, name: str, other: Any, other_name: str, *, with_observations: bool = True) -> None:
    """Raise `UserError` if an agent for one environment could not play in another one.

    Without observations, if a processor changes them, only actions count.
    """
    spaces = ("observation_space", "action_space") if with_observations else ("action_space",)
    theirs, ours = ([_in_words(getattr(one, space)) for space in spaces] for one in (other, env))
    if theirs != ours:
        raise UserError(
            f"the agent for {name} cannot be evaluated in {other_name}: its {'observations and ' * with_observations}"
            f"actions are {' and '.join(theirs)} instead of {' and '.join(ours)}"
        )


def _in_words(space: Any) -> str:
    kind = kind_of(space)
    if kind == "Dict":
        return f"{{{', '.join(f'{key}: {_in_words(space.spaces[key])}' for key in in_order(space.spaces))}}}"
    return f"Discrete({space.n})" if kind == "Discrete" else f"{kind}{tuple(getattr(space, 'shape', None) or ())}"


def within(action: Any, bounds: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """Return a continuous action clipped to the bounds, in their shape and type: rounded if that is of integers."""
    low, high = bounds
    clipped = np.clip(np.reshape(action, low.shape), low, high)
    return (np.rint(clipped) if low.dtype.kind in "iu" else clipped).astype(low.dtype)


def kind_of(space: Any) -> str:
    """Return Box, Discrete or Dict for a space of such a class, gym's or Gymnasium's, or of one derived from it."""
    names = [base.__name__ for base in type(space).__mro__]  # which are the same in both libraries
    return next((name for name in names if name in ("Box", "Discrete", "Dict")), names[0])


def in_order(observation: dict[Any, Any]) -> list[Any]:
    """Return the keys of an observation, or of its space, in the order of its parts."""
    try:
        return sorted(observation)
    except TypeError:  # numbers and texts
        return sorted(observation, key=str)


def parts(observation: Any) -> list[np.ndarray]:
    """Split an observation into its arrays, one for each input of the model; a dictionary's sorted by key."""
    if type(observation) is np.ndarray:
        return [observation]
    if isinstance(observation, dict):
        return [np.asarray(observation[key]) for key in in_order(observation)]
    if isinstance(observation, list | tuple) and any(isinstance(x, np.ndarray) for x in observation):
        return [np.asarray(value) for value in observation]
    return [np.asarray(observation)]


def _shape(space: Any) -> Any:
    kind = kind_of(space)
    parts = space.spaces if kind == "Dict" else {}
    if parts and all(kind_of(part) in ("Box", "Discrete") for part in parts.values()):
        return {name: _shape(part) for name, part in zip(_names(parts), parts.values(), strict=True)}
    if kind == "Box" and space.dtype != object:
        return tuple(space.shape)
    if kind == "Discrete":
        return (int(space.n),)
    raise UserError(f"the observation space {space} is not supported; {SUPPORTED}")


def _names(parts: Any) -> list[str]:
    """Return the names of the network's inputs for the keys of a Dict; raise `UserError` if they cannot be used."""
    names = [str(key) for key in parts]
    if slashed := [name for name in names if "/" in name]:
        raise UserError(f"the observation's key {slashed[0]!r} has a slash, which no input may have; rename it")
    if len(set(names)) < len(names):
        raise UserError(f"the observation's keys {list(parts)} would give inputs of the same name; rename one")
    return names


def reward_threshold(env: Any) -> float | None:
    """Return the mean reward at which the environment counts as solved, None if its makers do not say."""
    return getattr(getattr(env, "spec", None), "reward_threshold", None)
