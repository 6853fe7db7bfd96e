"""What a replay memory hands to an update, and returns of several steps."""

from typing import NamedTuple

import numpy as np


class Transitions(NamedTuple):
    """A sample of n transitions; W is the window length.

    `frames` holds one array [n, F, *observation] for each part of the observation: the first W frames are the state
    before the action, the last W the state after it. The state after one step shares all but one of them: F is W + 1.
    The state after several shares none: F is 2W.
    """

    frames: list[np.ndarray]
    actions: np.ndarray  # [n] int64
    rewards: np.ndarray  # [n] float64: the sum of the discounted rewards up to the state after
    discounts: np.ndarray  # [n] float64: what a unit of the state after is worth now, 0 if it is worth nothing


def add_up(rewards: np.ndarray, ends: np.ndarray, gamma: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the discounted sums of rewards [n, N], and how many of them count [n]: none after an episode's end.

    Args:
        rewards: Rewards of N steps that follow each other [n, N]; those that do not count are overwritten.
        ends: Whether an episode ended after each of them [n, N].
        gamma: Discount factor.
    """
    nb_rewards = rewards.shape[1]
    is_over = np.logical_or.accumulate(ends[:, :-1], axis=1)
    rewards[:, 1:][is_over] = 0.0
    return rewards @ gamma ** np.arange(nb_rewards), nb_rewards - np.count_nonzero(is_over, axis=1)
