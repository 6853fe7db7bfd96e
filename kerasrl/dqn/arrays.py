"""Observations as arrays, and the arrays that hold many of them."""

import math
import mmap
import sys
from typing import Any

import numpy as np


def parts(observation: Any) -> list[np.ndarray]:
    """Split an observation into its arrays, one for each input of the model; a dictionary's sorted by key."""
    if type(observation) is np.ndarray:
        return [observation]
    if isinstance(observation, dict):
        return [np.asarray(observation[key]) for key in sorted(observation)]
    if isinstance(observation, list | tuple) and any(isinstance(x, np.ndarray) for x in observation):
        return [np.asarray(value) for value in observation]
    return [np.asarray(observation)]


def holds(stored: np.dtype, given: np.dtype) -> bool:
    """Return whether numbers can be stored; the network computes in 32 bits, so wider floats may lose precision."""
    floats = np.issubdtype(stored, np.floating) and np.issubdtype(given, np.floating)
    return floats or np.can_cast(given, stored)


def zeros(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Return zeros whose pages cost memory only once they are written, even if there is not enough for all of them."""
    try:
        return np.zeros(shape, dtype)
    except MemoryError:  # Linux refuses what is obviously too much, unless no room is reserved for it
        if not sys.platform.startswith("linux"):
            raise
        no_reserve = 0x4000  # mmap.MAP_NORESERVE of Python 3.13
        pages = mmap.mmap(-1, math.prod(shape) * dtype.itemsize, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | no_reserve)
        return np.frombuffer(pages, dtype).reshape(shape)
