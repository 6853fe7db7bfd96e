"""Python's own numbers in place of NumPy's, whose sums overflow or are rounded in narrow types and are no JSON."""

import itertools
import numbers
from collections.abc import Mapping
from typing import Any

import numpy as np


def number(value: Any) -> int | float | None:
    """Return a real number, alone or in an array of one, as Python's int or float; None for anything else."""
    kind = type(value)
    if kind is float or kind is int or kind is bool:
        return value  # type: ignore[no-any-return]
    if kind is str or value is None:
        return None
    if isinstance(value, np.generic | np.ndarray):  # first: an environment's info may have hundreds
        return _item(value)
    if isinstance(value, numbers.Number) and not isinstance(value, int | float):  # a Fraction, a Decimal
        return float(value) if hasattr(value, "__float__") else None
    if isinstance(value, str | bytes | dict | list | tuple):
        return None
    try:
        return _item(np.asarray(value))
    except Exception:  # whatever an object does when it is asked for its array
        return None


def _item(value: np.generic | np.ndarray) -> int | float | None:
    if value.size != 1 or value.dtype.kind not in "biuf":
        return None
    item = value.item()
    return item if isinstance(item, int | float) else float(item)


def plain(value: Any) -> Any:
    """Return a number as `number` does, a larger array as lists of them, and anything else as it is."""
    found = number(value)
    if found is None and isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    return value if found is None else found


def numbers_of(values: Mapping[Any, Any], most: int = 100) -> dict[str, int | float]:
    """Return the numbers among an environment's or a callback's values by their names, `most` of them at most."""
    found = ((name, number(value)) for name, value in values.items() if isinstance(name, str))
    return dict(itertools.islice(((name, 0 + value) for name, value in found if value is not None), most))
