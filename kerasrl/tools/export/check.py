"""Whether an exported network acts like the agent, determined by playing with both."""

from dataclasses import dataclass
from typing import Any
from unittest import mock

import numpy as np

from kerasrl.environments.rewards import own_rewards
from kerasrl.tools.export.formats import Outputs

_TIED = 1e-5  # of the largest Q-value: sums of 32-bit floats in a different order differ by as much
_CLOSE = 1e-5  # of an action, or of 1 if it is smaller: the same


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
    """The greatest difference between two numbers that the networks put out."""


def play(agent: Any, env: Any, exported: Outputs, names: list[str], **how: Any) -> Agreement:
    """Play episodes with an exported network, and ask the agent as well what it would do in each state.

    Args:
        agent: The agent.
        env: Environment.
        exported: The exported network.
        names: Names of its inputs, in the order of the agent's model's.
        how: Arguments for `agent.test`.
    """
    found = Agreement([])
    dtypes = [tensor.dtype for tensor in agent.acting_model.inputs]
    is_action = agent.output_name == "action"
    # What Keras-RL's agents choose by, or choose with.
    values = hasattr(agent, "compute_q_values")
    own_output = agent.compute_q_values if values else agent.output

    def output(state: list[Any], *_: Any, **__: Any) -> Any:
        arrays = [array.astype(kind) for array, kind in zip(_as_given(agent, state), dtypes, strict=True)]
        own = own_output(state)
        other: np.ndarray = exported(dict(zip(names, arrays, strict=True)))[0]
        if is_action:
            _compare_actions(own, other, found)
        else:
            _compare(own, other, agent.action_mask, found)
        return other if values or is_action else _best(other, agent.action_mask)

    with mock.patch.object(agent, "compute_q_values" if values else "select_action", output):
        history = agent.test(env, visualize=False, **how).history
    found.rewards = own_rewards(history)
    return found


def _as_given(agent: Any, state: list[Any]) -> list[np.ndarray]:
    """Return a state as an exported network takes it, which normalises it itself if the agent does."""
    if agent.normalizer is None:
        return agent.states([state])  # type: ignore[no-any-return]
    with mock.patch.object(agent._inputs, "normalizer", None):
        return agent.states([state])  # type: ignore[no-any-return]


def _compare_actions(own: np.ndarray, other: np.ndarray, found: Agreement) -> None:
    """Add what a state's continuous actions say about both."""
    found.nb_states += 1
    difference = np.abs(own - other)
    found.difference = float(np.maximum(found.difference, difference.max()))  # NaN if either is
    found.nb_different += not (difference <= _CLOSE * np.maximum(1, np.abs(own))).all()


def _best(values: np.ndarray, mask: np.ndarray | None) -> int:
    """Return the action of the largest value, among the legal ones if there is a mask."""
    return int(np.argmax(values if mask is None else np.where(mask, values, -np.inf)))


def _compare(own: np.ndarray, other: np.ndarray, mask: np.ndarray | None, found: Agreement) -> None:
    """Add what a state's Q-values [num_actions], or the like, say about both; `mask` says which actions are legal."""
    found.nb_states += 1
    found.difference = float(np.maximum(found.difference, np.abs(own - other).max()))  # NaN if either is
    ours, theirs = _best(own, mask), _best(other, mask)
    if not np.isfinite(other).all() or own[ours] - own[theirs] > _TIED * np.abs(own).max():
        found.nb_different += 1
    elif ours != theirs:
        found.nb_tied += 1
