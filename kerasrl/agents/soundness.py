"""Numbers by which a training has gone wrong: those that are not finite, and those that soon will not be."""

from collections.abc import Iterable

import numpy as np

LARGEST = 1e15  # float32 overflows within a few updates after a larger weight, loss or Q-value
SUSPECT = 1_000  # steps after a larger loss in which what it did to the weights may still be felt


def why_unsound(what: str, arrays: Iterable[np.ndarray]) -> str:
    """Return what is wrong with the arrays that `what` names, "" if nothing is."""
    if all(array.size == 0 or (array.min() >= -LARGEST and array.max() <= LARGEST) for array in arrays):  # not if NaN
        return ""
    return f"{what} are not finite or above {LARGEST:g}"
