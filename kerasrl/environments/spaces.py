"""What an environment shows, as spaces and as arrays, and which actions it takes."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from kerasrl.environments.instances import require_single
from kerasrl.environments.kinds import kind_of as kind_of
from kerasrl.environments.numbered import MOST, NumberedActions
from kerasrl.environments.shown import parts_of
from kerasrl.errors import UserError

SUPPORTED = (
    "supported are observations in a Box (numbers, any shape), Discrete, MultiDiscrete, MultiBinary, or a Dict or "
    f"Tuple of these, and actions in a Box of numbers, Discrete, or up to {MOST:,} of MultiDiscrete or MultiBinary"
)


@dataclass(frozen=True)
class Spaces:
    """What an environment shows and takes; each agent has its own rule about the actions that it can learn."""

    observation: Any
    """Shape of an observation as networks take it; for a Dict or Tuple, shapes by the names of the inputs."""
    actions: Any
    """The action space, whatever its class."""
    nb_actions: int | None
    """Number of actions that are chosen by their numbers; None for other spaces, and for too many."""
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
        numbered = NumberedActions.of(self.actions)
        if numbered is not None and self.nb_actions is None:
            raise UserError(
                f"the action space {self.actions} has {numbered.nb_actions:,} actions; at most {MOST:,} work"
            )
        if self.kind != kind:
            raise UserError(f"the action space {self.actions} is not supported by {agent}; {SUPPORTED}")
        return self.nb_actions if self.nb_actions is not None else int(np.prod(self.action_shape or (1,)))

    def require_discrete(self, agent: str) -> int:
        """Return the number of actions; raise `UserError` unless they are chosen by their numbers."""
        return self.require("discrete", agent)


def describe_spaces(env: Any) -> Spaces:
    """Return what an environment shows and takes; raise `UserError` if its observations are not supported."""
    require_single(env)
    actions = env.action_space
    numbered, nb_actions, shape = NumberedActions.of(actions), None, None
    if numbered is not None and (numbered.is_single or numbered.nb_actions <= MOST):
        nb_actions = numbered.nb_actions
    if kind_of(actions) == "Box" and np.issubdtype(actions.dtype, np.number):
        shape = tuple(actions.shape)
    parts = parts_of(env.observation_space, SUPPORTED)
    observation: Any = {part.name: part.shape for part in parts} if parts[0].path else parts[0].shape
    return Spaces(observation, actions, nb_actions, shape)


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
    if kind == "Tuple":
        return f"({', '.join(map(_in_words, space.spaces))})"
    if kind in ("Discrete", "MultiDiscrete"):
        start = np.asarray(getattr(space, "start", 0)).tolist()
        from_start = f", start={start}" if np.any(start) else ""
        return f"{kind}({space.n if kind == 'Discrete' else space.nvec.tolist()}{from_start})"
    return f"{kind}{tuple(getattr(space, 'shape', None) or ())}"


def within(action: Any, bounds: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """Return a continuous action clipped to the bounds, in their shape and type: rounded if that is of integers."""
    low, high = bounds
    clipped = np.clip(np.reshape(action, low.shape), low, high)
    return (np.rint(clipped) if low.dtype.kind in "iu" else clipped).astype(low.dtype)


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


def reward_threshold(env: Any) -> float | None:
    """Return the mean reward at which the environment counts as solved, None if its makers do not say."""
    return getattr(getattr(env, "spec", None), "reward_threshold", None)
