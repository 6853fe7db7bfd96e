"""What a replay memory hands to an update, and tables for transitions of several steps."""

import functools
from typing import NamedTuple

import numpy as np

from kerasrl.errors import UserError


class NothingToDraw(UserError):
    """A memory that holds no transition: what it would draw from are the last observations of episodes."""

    def __init__(self) -> None:
        super().__init__("the replay memory holds no transition yet, only ends of episodes: store more steps first")


class Transitions(NamedTuple):
    """A sample of n transitions; W is the window length.

    `frames` holds one array [n, F, *observation] for each part of the observation: the first W frames are the state
    before the action, the last W the state after it. The state after one step shares all but one of them: F is W + 1.
    The state after several shares none: F is 2W.
    """

    frames: list[np.ndarray]
    actions: np.ndarray  # [n, *action]
    rewards: np.ndarray  # [n]: the sum of the discounted rewards up to the state after
    discounts: np.ndarray  # [n] float64: the factor of the state after's value, 0 if the episode terminated
    weights: np.ndarray | None = None  # [n] float64: of the loss, if the steps were not equally likely
    rows: np.ndarray | None = None  # [n] int64: what `PrioritizedMemory.update_priorities` asks for
    masks: np.ndarray | None = None  # [n, nb_actions] bool: which actions are legal in the state after


@functools.cache
def spans(n_step: int, gamma: float, window_length: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return tables for transitions of up to N steps, in which row k is for those of k + 1 steps.

    Returns:
        The steps 0, 1, ... [N]; the factors of their rewards, 0 for those that do not count [N, N]; the discount of the
        state after [N]; and the frames of the states before and after, counted from the first step [N, 2W].
    """
    steps = np.arange(n_step)
    state = np.arange(1 - window_length, 1)
    frames = np.stack([np.concatenate([state, state + k + 1]) for k in steps])
    return steps, np.tril(np.tile(gamma**steps, (n_step, 1))), gamma ** (steps + 1.0), frames
