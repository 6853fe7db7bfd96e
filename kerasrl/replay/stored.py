"""The stored steps under the names that they have in Keras-RL, for code of one's own that reads them there."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from kerasrl.replay.columns import Column, Frames


class Observations(Sequence[Any]):
    """The observations that a memory has stored, the oldest first."""

    def __init__(self, memory: "StoredSteps") -> None:
        self._memory = memory

    def __len__(self) -> int:
        return int(self._memory.nb_entries)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(len(self))[index]]
        return self._memory.observation(range(len(self))[index])


class StoredSteps:
    """Observations, actions, rewards and terminals of a memory, the oldest first."""

    nb_appended: int
    nb_entries: Any
    _frames: Frames
    _actions: Column
    _rewards: Column
    _terminals: np.ndarray
    _terminated: np.ndarray
    _masks: Any
    limit: int
    _oldest: Any
    _copies: dict[str, tuple[int, np.ndarray]]

    def observation(self, index: int) -> Any:
        """Return a stored observation; `index` counts from the oldest."""
        row = (self._oldest() + index) % self.limit
        return self._frames.restored([array[row].copy() for array in self._frames.arrays])

    @property
    def observations(self) -> Sequence[Any]:
        """The stored observations, the oldest first (to read)."""
        return Observations(self)

    @property
    def actions(self) -> np.ndarray:
        """The stored actions, the oldest first (a copy, to read)."""
        return self._chronological("_actions")

    @property
    def rewards(self) -> np.ndarray:
        """The stored rewards, the oldest first (a copy, to read)."""
        return self._chronological("_rewards")

    @property
    def terminals(self) -> np.ndarray:
        """Whether an episode ended after each stored step, the oldest first (a copy, to read)."""
        return self._chronological("_terminals")

    def _chronological(self, name: str) -> np.ndarray:
        """Return a copy, the same until another step is stored: a `sample` of somebody's own asks for each index."""
        known = self._copies.get(name)
        if known is None or known[0] != self.nb_appended:
            column = getattr(self, name)
            array = column.array if isinstance(column, Column) else column
            known = self.nb_appended, array.take(self._oldest() + np.arange(self.nb_entries), 0, mode="wrap")
            known[1].setflags(write=False)  # nobody would see what was written into a copy
            self._copies[name] = known
        return known[1]

    # For `TrainingState`

    def _columns(self) -> dict[str, np.ndarray]:
        frames = {f"frame{k}": array for k, array in enumerate(self._frames.arrays)}
        columns = {"action": self._actions.array, "reward": self._rewards.array}
        masks = {} if self._masks is None else {"mask": self._masks}
        return {**frames, **columns, "terminal": self._terminals, "terminated": self._terminated, **masks}

    def record_type(self) -> np.dtype:
        """Return the type of one stored step as `steps` gives it."""
        return np.dtype([(name, array.dtype, array.shape[1:]) for name, array in self._columns().items()])

    def steps(self, first: int, end: int) -> np.ndarray:
        """Return the steps numbered [first, end), counted since the first ever stored; they must still be stored."""
        rows = np.arange(first, end) % self.limit
        records = np.zeros(end - first, self.record_type())
        for name, array in self._columns().items():
            records[name] = array[rows]
        return records
