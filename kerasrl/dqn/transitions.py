"""What a replay memory hands to an update, and transitions of several steps."""

import functools
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
    weights: np.ndarray | None = None  # [n] float64: of the loss, if the steps were not equally likely
    rows: np.ndarray | None = None  # [n] int64: what `PrioritizedMemory.update_priorities` asks for


class Spans(NamedTuple):
    """What transitions of up to N steps need to know; row k is for one of k + 1 steps. W is the window length."""

    steps: np.ndarray  # [N]: 0, 1, ...
    factors: np.ndarray  # [N, N]: of the rewards, 0 for those that do not count
    discounts: np.ndarray  # [N]: of the state after
    frames: np.ndarray  # [N, 2W]: those of the states before and after, counted from the first step


@functools.cache
def spans(n_step: int, gamma: float, window_length: int) -> Spans:
    """Return the tables for transitions of up to `n_step` steps."""
    steps = np.arange(n_step)
    frames = np.arange(1 - window_length, 1)
    frames = np.stack([np.concatenate([frames, frames + k + 1]) for k in steps])
    return Spans(steps, np.tril(np.tile(gamma**steps, (n_step, 1))), gamma ** (steps + 1.0), frames)
