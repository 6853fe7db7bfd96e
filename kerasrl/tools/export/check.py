"""Whether an exported network acts like the agent, determined by playing with both."""

from dataclasses import dataclass
from typing import Any
from unittest import mock

import numpy as np

from kerasrl.tools.export.formats import QValues

_TIED = 1e-5  # of the largest Q-value: sums of 32-bit floats in a different order differ by as much


@dataclass
class Agreement:
    """What playing with both has shown."""

    rewards: list[float]
    nb_states: int = 0
    nb_different: int = 0
    """States in which another action is better, by more than rounding."""
    nb_tied: int = 0
    """States in which another action is as good."""
    difference: float = 0.0
    """The greatest difference between two Q-values."""


def play(agent: Any, env: Any, exported: QValues, names: list[str], **how: Any) -> Agreement:
    """Play episodes with an exported network, and ask the agent as well what it would do in each state.

    Args:
        agent: DQNAgent.
        env: Environment.
        exported: The exported network.
        names: Names of its inputs, in the order of the agent's model's.
        how: Arguments for `agent.test`.
    """
    found = Agreement([])
    dtypes = [tensor.dtype for tensor in agent.model.inputs]
    own_q_values = agent.compute_q_values

    def q_values(state: list[Any]) -> np.ndarray:
        arrays = [array.astype(kind) for array, kind in zip(agent.states([state]), dtypes, strict=True)]
        own = own_q_values(state)
        other: np.ndarray = exported(dict(zip(names, arrays, strict=True)))[0]
        _compare(own, other, found)
        return other

    with mock.patch.object(agent, "compute_q_values", q_values):
        history = agent.test(env, visualize=False, **how).history
    found.rewards = history.get("episode_reward", [])
    return found


def _compare(own: np.ndarray, other: np.ndarray, found: Agreement) -> None:
    """Add what a state's Q-values [num_actions] say about both."""
    found.nb_states += 1
    found.difference = float(np.maximum(found.difference, np.abs(own - other).max()))  # NaN if either is
    ours, theirs = int(np.argmax(own)), int(np.argmax(other))
    if not np.isfinite(other).all() or own[ours] - own[theirs] > _TIED * np.abs(own).max():
        found.nb_different += 1
    elif ours != theirs:
        found.nb_tied += 1
