"""The arrays in which a memory keeps what each step brought."""

import copy
import math
import mmap
import sys
from typing import Any

import numpy as np

from kerasrl.environments.spaces import in_order, parts
from kerasrl.errors import UserError


def zeros(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Return zeros whose pages take up memory only once they are written, even if it could not hold all of them."""
    try:
        return np.zeros(shape, dtype)
    except MemoryError:  # Linux refuses what is obviously too much, unless told not to reserve it
        if not sys.platform.startswith("linux"):
            raise
        no_reserve = 0x4000  # mmap.MAP_NORESERVE of Python 3.13
        pages = mmap.mmap(-1, math.prod(shape) * dtype.itemsize, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | no_reserve)
        return np.frombuffer(pages, dtype).reshape(shape)


def resized(array: np.ndarray, nb_rows: int) -> np.ndarray:
    """Return the first rows of an array, or all of them and rows of zeros."""
    if nb_rows <= len(array):
        return array[:nb_rows]
    result = zeros((nb_rows, *array.shape[1:]), array.dtype)
    result[: len(array)] = array
    return result


class Column:
    """One value of each of `limit` steps, such as the action, stored exactly in the type and shape it was given in.

    Errors call it `name`; until the first value is known, the type is `dtype`.

    Attributes:
        array: The values [limit, *shape], to read.
    """

    def __init__(self, name: str, limit: int, dtype: Any) -> None:
        self.array = np.zeros(limit, dtype)
        self._name, self._is_empty = name, True
        self._exact_types: set[type] = set()  # of numbers, which the array holds exactly

    def put(self, row: int, value: Any) -> None:
        """Store a value; `UserError` if it does not hold numbers, or its shape differs from the first one's."""
        if type(value) not in self._exact_types:
            self._make_room(np.asarray(value), value)
        self.array[row] = value

    def put_all(self, rows: np.ndarray, values: np.ndarray) -> None:
        """Store values [n, *shape] from another column."""
        self._make_room(values[0], values)
        self.array = self.array.astype(np.result_type(self.array, values), copy=False)
        self.array[rows] = values

    def resized(self, nb_rows: int) -> "Column":
        """Return the same with so many rows, which share its memory."""
        other = copy.copy(self)
        other.array = resized(self.array, nb_rows)
        return other

    def blank(self) -> Any:
        """Return a zero that can be stored."""
        return np.zeros(self.array.shape[1:], self.array.dtype)[()]

    def _make_room(self, first: np.ndarray, given: Any) -> None:
        """Let the array have a type and shape that can hold a value."""
        if first.dtype.kind not in "biuf":
            raise UserError(f"the {self._name} must hold numbers, not {given!r:.60}")
        if self._is_empty:
            self._is_empty = False
            if (first.shape, first.dtype) != (self.array.shape[1:], self.array.dtype):
                self.array = zeros((len(self.array), *first.shape), first.dtype)
        if first.shape != self.array.shape[1:]:
            raise UserError(
                f"the {self._name} has shape {first.shape}, an earlier one shape {self.array.shape[1:]}; all "
                f"{self._name}s in a replay memory must have the same shape"
            )
        if np.can_cast(first.dtype, self.array.dtype) and isinstance(given, int | float | np.generic):
            self._exact_types.add(type(given))
        if not _holds_exactly(self.array.dtype, first):
            self.array = self.array.astype(np.result_type(self.array, first))


def as_given(value: Any) -> Any:
    """Return a value of a column's array as a Python number where NumPy's type is equivalent."""
    return value.item() if np.ndim(value) == 0 and value.dtype in (np.int64, np.float64, np.bool_) else value


def _holds_exactly(dtype: np.dtype, value: np.ndarray) -> bool:
    if np.can_cast(value.dtype, dtype):
        return True
    with np.errstate(all="ignore"):
        return np.array_equal(value.astype(dtype), value, equal_nan=True)


class Frames:
    """The observations of `limit` steps, each an array or a container of several.

    They are stored in the type of the first, or a wider one as soon as one of them would lose digits in it.

    Attributes:
        arrays: An array [limit, *part] for each part of an observation, to read; empty before the first observation.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.arrays: list[np.ndarray] = []
        self._first: Any = None  # observation, whose container tells how to give observations back
        self._nb_rows = 0  # that have been put

    def put(self, row: int, observation: Any) -> None:
        """Store an observation; `UserError` if it does not hold numbers, or differs in structure from the first."""
        if type(observation) is type(self._first) is np.ndarray:  # as usual, in a third of the time
            (frames,) = self.arrays
            if observation.shape == frames.shape[1:] and observation.dtype == frames.dtype:
                frames[row] = observation
                self._nb_rows = max(self._nb_rows, row + 1)
                return
        arrays = parts(observation)
        if self._first is None:
            self._begin(observation, arrays)
        if isinstance(observation, dict) and observation.keys() != getattr(self._first, "keys", dict)():
            before = in_order(self._first) if isinstance(self._first, dict) else "without names"
            raise UserError(f"an observation {in_order(observation)} follows observations {before}")
        if len(arrays) != len(self.arrays):
            raise UserError(f"an observation of {len(arrays)} parts follows observations of {len(self.arrays)}")
        for k, array in enumerate(arrays):
            frames = self.arrays[k]
            if array.shape != frames.shape[1:]:
                raise UserError(
                    f"an observation of shape {array.shape} follows observations of shape {frames.shape[1:]}; "
                    "all observations in a replay memory must have the same shape"
                )
            if array.dtype != frames.dtype:
                _require_numbers(array, observation)
                if not _holds_exactly(frames.dtype, array):
                    # Without the rows that are still empty, for which there may not be any room.
                    known, wider = frames[: self._nb_rows], np.result_type(array, frames)
                    frames = self.arrays[k] = resized(known.astype(wider), self._limit)
            frames[row] = array
        self._nb_rows = max(self._nb_rows, row + 1)

    def _begin(self, observation: Any, arrays: list[np.ndarray]) -> None:
        for array in arrays:
            _require_numbers(array, observation)
        self.arrays = self.arrays or [zeros((self._limit, *array.shape), array.dtype) for array in arrays]
        self._first = observation

    def put_all(self, rows: np.ndarray, arrays: list[np.ndarray]) -> None:
        """Store observations whose parts are in arrays [n, *part]."""
        self.arrays = self.arrays or [zeros((self._limit, *array.shape[1:]), array.dtype) for array in arrays]
        for own, array in zip(self.arrays, arrays, strict=True):
            own[rows] = array
        self._nb_rows = max(self._nb_rows, *(rows + 1).tolist())

    def resized(self, nb_rows: int) -> "Frames":
        """Return the same with so many rows, which share its memory."""
        other = copy.copy(self)
        other.arrays = [resized(array, nb_rows) for array in self.arrays]
        return other

    def take(self, rows: np.ndarray) -> list[np.ndarray]:
        """Return the parts of observations as arrays [*rows, *part]; rows beyond the limit begin again."""
        return [array.take(rows, 0, mode="wrap") for array in self.arrays]

    def restored(self, arrays: list[np.ndarray]) -> Any:
        """Return the observation that has these parts in the container in which observations were given."""
        if isinstance(self._first, dict):
            by_key = dict(zip(in_order(self._first), arrays, strict=True))
            return {key: by_key[key] for key in self._first}
        if hasattr(self._first, "_fields"):  # a named tuple of arrays
            return type(self._first)(*arrays) if len(arrays) > 1 else arrays[0]
        return arrays[0] if len(arrays) == 1 else type(self._first)(arrays)


def _require_numbers(array: np.ndarray, observation: Any) -> None:
    if not np.issubdtype(array.dtype, np.number) and array.dtype != np.bool_:
        raise UserError(f"an observation must hold numbers, not {type(observation).__name__} {observation!r:.60}")
