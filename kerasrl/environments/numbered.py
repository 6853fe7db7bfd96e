"""The actions of an environment by the numbers, from 0 on, by which agents with discrete actions choose them."""

import contextlib
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from kerasrl.environments.kinds import kind_of
from kerasrl.overrides import overrides

MOST = 1_024  # that an agent of the commands chooses from, each of which has a Q-value


class NumberedActions:
    """The actions of a Discrete, MultiDiscrete or MultiBinary space, by their numbers.

    Those that consist of several values are counted as numbers are, the last digit first: of MultiDiscrete([2, 3]), 0
    is [0, 0], 1 is [0, 1], 3 is [1, 0] and 5 is [1, 2].

    Attributes:
        sizes: How many values there are for each number in an action; its only one, if it is itself a number.
        start: The lowest values, an array of the action's shape.
        nb_actions: How many actions there are.
    """

    def __init__(self, space: Any) -> None:
        kind = kind_of(space)
        self.is_single = kind == "Discrete"
        if kind == "MultiBinary":
            sizes, start = [2] * math.prod(space.shape), np.zeros(space.shape, int)
        else:
            sizes = np.ravel(space.n if self.is_single else space.nvec).tolist()
            start = np.zeros(() if self.is_single else space.shape, int) + getattr(space, "start", 0)
        self.sizes, self.start, self.dtype = tuple(map(int, sizes)), start, getattr(space, "dtype", np.int64)
        self.nb_actions = math.prod(self.sizes)

    @classmethod
    def of(cls, space: Any) -> "NumberedActions | None":
        """Return the actions of a space, None if it is of another kind."""
        return cls(space) if kind_of(space) in ("Discrete", "MultiDiscrete", "MultiBinary") else None

    @property
    def are_plain(self) -> bool:
        """Whether each action is its own number."""
        return self.is_single and self.start == 0

    def __call__(self, number: Any) -> Any:
        """Return the action of a number, which may be in an array of one, as the environment takes it."""
        index = int(np.reshape(number, -1)[0])
        if self.is_single:
            return index + int(self.start)
        values = np.array(np.unravel_index(index, self.sizes), self.dtype)
        return values.reshape(self.start.shape) + self.start.astype(self.dtype)

    def mask(self, given: Any, is_joined: bool) -> Any:
        """Return a mask with a value for each action, if one for each value of each number in an action was given.

        These are several masks (Gymnasium) or, with `is_joined`, one after the other (sb3-contrib); anything else is
        returned as it is.
        """
        masks = given
        with contextlib.suppress(ValueError):  # lists of different lengths
            if is_joined and np.shape(given) == (sum(self.sizes),):
                masks = np.split(np.asarray(given), np.cumsum(self.sizes)[:-1])
            if isinstance(masks, tuple | list) and [np.shape(mask) for mask in masks] == [(n,) for n in self.sizes]:
                return _all_of([np.asarray(mask) for mask in masks])
        return given


def numbered_for(agent: Any, env: Any) -> NumberedActions | None:
    """Return what makes an environment's actions of an agent's numbers; None if nothing has to, or a processor does."""
    actions = NumberedActions.of(getattr(env, "action_space", None)) if agent.is_discrete else None
    if actions is None or actions.are_plain or actions.nb_actions != agent.nb_actions:
        return None
    return None if overrides(agent.processor, "process_action") else actions


def _all_of(masks: Sequence[np.ndarray]) -> np.ndarray:
    """Return the products of zeros and ones, one from each mask, in the order of the actions."""
    result = masks[0]
    for mask in masks[1:]:
        result = np.multiply.outer(result, mask).reshape(-1)
    return result
