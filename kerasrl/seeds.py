"""Seeds: one holds for the first `fit` after it was set; whatever comes later goes on with the generators.

An environment or a memory that is first met after that has no generator that goes on: it gets a seed drawn from NumPy's
generator, so that a program that sets one seed does the same in every process.
"""

import contextlib
import weakref
from typing import Any

_next: int | None = None  # for the first `fit` from now on
_is_set = False  # whether a seed has been set for this process
_seeded: Any = weakref.WeakSet()  # environments and memories


def hold(number: int) -> None:
    """Let the first `fit` from now on have a seed."""
    global _next, _is_set
    _next, _is_set = int(number), True


def for_fit(given: int | None) -> int | None:
    """Return the seed of the `fit` that begins: the one it is given, or else the one that waits for it."""
    global _next
    found, _next = _next if given is None else given, None
    return found


def mark(*things: Any) -> None:
    """Note that environments or memories have been seeded."""
    for thing in things:
        with contextlib.suppress(TypeError):  # what cannot be remembered is seeded again
            _seeded.add(thing)


def for_new(thing: Any, is_set: bool) -> int | None:
    """Return a seed for what has none although one `is_set` for an agent, or for all; None if it goes on by itself."""
    if not (is_set or _is_set):
        return None
    with contextlib.suppress(TypeError):
        if thing in _seeded:
            return None
    mark(thing)
    import numpy as np  # here, so that an old script imports it when it asks for it

    return int(np.random.randint(2**31))
