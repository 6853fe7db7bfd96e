"""What an environment shows and which actions it takes."""

from typing import Any

from kerasrl.errors import UserError

SUPPORTED = (
    "supported are observations in a Box (numbers, any shape), Discrete, or a Dict of these, and Discrete actions "
    "that start at 0"
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
    """Return the mean reward at which the environment's makers consider it solved, None if they give none."""
    return getattr(getattr(env, "spec", None), "reward_threshold", None)
