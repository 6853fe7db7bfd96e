"""How certain a mean over runs is."""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

FEWEST = 3  # runs: one or two cannot show how much runs differ
_AT_ONCE = 100  # resamples: all 9,999 of 500 places would take a gigabyte
_MOST_PLACES = 500

Curve: TypeAlias = tuple[NDArray[np.float64], NDArray[np.float64]]  # environment steps and values, finite


def interval_of_mean(values: ArrayLike) -> NDArray[np.float64] | None:
    """Return the ends of the 95% percentile bootstrap interval of the mean over runs (Efron and Tibshirani 1993).

    Args:
        values: A value, or an array of values, for each run: [runs, ...].

    Returns:
        Both ends, [2, ...]; both are the mean if all runs agree. None for fewer than three runs.
    """
    from scipy.stats import bootstrap  # here: it takes a moment

    values = np.asarray(values, np.float64)
    if len(values) < FEWEST:
        return None
    if (values == values[0]).all():
        return np.array([values[0], values[0]])
    found = bootstrap((values,), np.mean, axis=0, method="percentile", batch=_AT_ONCE, rng=0).confidence_interval
    return np.array([found.low, found.high])


def mean_and_interval(curves: Sequence[Curve]) -> tuple[Curve, NDArray[np.float64]] | None:
    """Return the mean of curves and the ends of its 95% interval, where something was measured.

    Runs are evaluated at the end of an episode, each at steps of its own. Wherever the run with the fewest values has
    one, it is put together with the nearest one of each other run, at the mean of their steps. Between values, nothing
    is interpolated: a mean of two would vary less than either, and the interval would be too narrow.

    Args:
        curves: Steps, which increase, and values of each run.

    Returns:
        At most 500 steps and the means there, and both ends, [2, steps]. None for fewer than three runs, or if fewer
        than two of the steps lie where all of them have values.
    """
    if len(curves) < FEWEST:
        return None
    places = min((steps for steps, _ in curves), key=len)
    reach = np.diff(places, prepend=0) / 2
    first, last = max(steps[0] for steps, _ in curves), min(steps[-1] for steps, _ in curves)
    places = places[(places >= first - reach) & (places <= last + reach)]
    if len(places) < 2:
        return None
    places = places[np.linspace(0, len(places) - 1, min(len(places), _MOST_PLACES)).round().astype(int)]
    nearest = [np.searchsorted((steps[1:] + steps[:-1]) / 2, places) for steps, _ in curves]
    steps, values = (
        np.array([curve[which][index] for curve, index in zip(curves, nearest, strict=True)]) for which in (0, 1)
    )
    ends = interval_of_mean(values)
    assert ends is not None
    return (steps.mean(axis=0), values.mean(axis=0)), ends
