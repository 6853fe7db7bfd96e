"""Transitions as rows of numbers, from which NumPy gathers a batch in a single call."""

from typing import Any, NamedTuple

import numpy as np

from kerasrl.replay.columns import zeros

_LARGEST = 128  # numbers in a row: 512 bytes for each step, besides those that hold it exactly


class PackedLayout(NamedTuple):
    """What is where in a row of floats: the observations before and after, the action, the reward, and `goes_on`.

    `goes_on` is 1, or 0 if the episode terminated. Observations and actions are numbers or vectors. If actions are
    masked, the mask of the observation after follows it.
    """

    observation: tuple[int, ...]  # its shape
    action: tuple[int, ...]
    nb_masked: int = 0  # numbers in a mask

    @property
    def sizes(self) -> tuple[int, int]:
        """How many numbers an observation and an action have."""
        return (*self.observation, 1)[0], (*self.action, 1)[0]

    @property
    def row_size(self) -> int:
        """How many numbers a row has."""
        observation, action = self.sizes
        return 2 * observation + self.nb_masked + action + 2

    def is_packable(self, dtype: np.dtype) -> bool:
        """Return whether transitions in this layout, with observations of a type, may be packed."""
        vectors = len(self.observation) <= 1 and len(self.action) <= 1
        return vectors and dtype.kind == "f" and self.row_size <= _LARGEST


class PackedTransitions:
    """The transitions of one step between observations that a memory stores, each in a row of 32-bit floats.

    A network computes in 32 bits, so it is given the same numbers, rounded when they are stored instead of when they
    are drawn. A batch then is one `take` instead of five and a concatenation, which are several times as slow.

    The row of a transition is that of the step before it, whose end decides whether the transition may be drawn: a
    single index serves both.

    Attributes:
        array: The rows [limit, size of a row], to read.
        layout: What is where in a row.
    """

    def __init__(self, limit: int, layout: PackedLayout) -> None:
        observation, _ = layout.sizes
        self.layout = layout
        self.array = zeros((limit, layout.row_size), np.dtype(np.float32))
        self._before: int | slice = slice(observation) if layout.observation else 0
        self._after: int | slice = slice(observation, 2 * observation) if layout.observation else 1
        masks_end = 2 * observation + layout.nb_masked
        self._mask = slice(2 * observation, masks_end)
        self._action: int | slice = slice(masks_end, -2) if layout.action else -3

    def put(self, row: Any, observation: Any, action: Any, reward: Any, goes_on: Any, masks: Any = None) -> None:
        """Store the step of a row, or those of an array of rows; `masks` has a mask for each row of the memory."""
        array, own, before = self.array, row - 1, row - 2  # negative ones are at the end of the ring
        array[own, self._before] = array[before, self._after] = observation
        if masks is not None:
            array[before, self._mask] = masks[row]
        array[own, self._action] = action
        array[own, -2] = reward
        array[own, -1] = goes_on
