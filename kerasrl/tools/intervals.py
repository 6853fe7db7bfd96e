"""How certain a mean over runs is."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

_AT_ONCE = 100  # resamples: all 9,999 of 500 places would take a gigabyte


def interval_of_mean(values: ArrayLike) -> NDArray[np.float64]:
    """Return the ends of the 95% percentile bootstrap interval of the mean over runs (Efron and Tibshirani 1993).

    Args:
        values: A value, or an array of values, for each run: [runs, ...].

    Returns:
        Both ends, [2, ...]; both are the mean if there is one run, or if all agree.
    """
    from scipy.stats import bootstrap  # here: it takes a moment

    values = np.asarray(values, np.float64)
    if (values == values[0]).all():
        return np.array([values[0], values[0]])
    found = bootstrap((values,), np.mean, axis=0, method="percentile", batch=_AT_ONCE, rng=0).confidence_interval
    return np.array([found.low, found.high])
