"""What an environment shows, as spaces and as arrays, and which actions it takes."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from kerasrl.errors import UserError

SUPPORTED = (
    "supported are observations in a Box (numbers, any shape), Discrete, or a Dict of these, and Discrete actions "
    "that start at 0"
)


@dataclass(frozen=True)
class Spaces:
    """What an environment shows and takes; each agent has its own rule about the actions that it can learn."""

    observation: Any
    """Shape of an observation, a dictionary of shapes for a Dict."""
    actions: Any
    """The action space, whatever its class."""
    nb_actions: int | None
    """Number of actions in a Discrete space that starts at 0, None for other spaces."""
    action_shape: tuple[int, ...] | None
    """Shape of an action in a Box of numbers, None for other spaces; its bounds are `actions.low` and `.high`."""

    def require_discrete(self, agent: str) -> int:
        """Return the number of actions; raise `UserError` unless they are Discrete and start at 0."""
        if self.nb_actions is None:
            raise UserError(f"the action space {self.actions} is not supported by {agent}; {SUPPORTED}")
        return self.nb_actions


def describe_spaces(env: Any) -> Spaces:
    """Return what an environment shows and takes; raise `UserError` if its observations are not supported."""
    actions = env.action_space
    kind, nb_actions, shape = type(actions).__name__, None, None  # gym's and Gymnasium's classes have the same names
    if kind == "Discrete" and getattr(actions, "start", 0) == 0:
        nb_actions = int(actions.n)
    if kind == "Box" and np.issubdtype(actions.dtype, np.number):
        shape = tuple(actions.shape)
    return Spaces(_shape(env.observation_space), actions, nb_actions, shape)


def check_spaces(env: Any, agent: str = "DQN") -> tuple[Any, int]:
    """Return an observation's shape (by key for a Dict) and the number of actions; raise `UserError` for others."""
    spaces = describe_spaces(env)
    return spaces.observation, spaces.require_discrete(agent)


def parts(observation: Any) -> list[np.ndarray]:
    """Split an observation into its arrays, one for each input of the model; a dictionary's sorted by key."""
    if type(observation) is np.ndarray:
        return [observation]
    if isinstance(observation, dict):
        return [np.asarray(observation[key]) for key in sorted(observation)]
    if isinstance(observation, list | tuple) and any(isinstance(x, np.ndarray) for x in observation):
        return [np.asarray(value) for value in observation]
    return [np.asarray(observation)]


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
    """Return the mean reward at which the environment counts as solved, None if its makers do not say."""
    return getattr(getattr(env, "spec", None), "reward_threshold", None)
