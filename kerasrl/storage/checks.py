"""What is checked in a training state before NumPy, which trusts it, is given any of it."""

from collections import deque
from typing import Any

from kerasrl.storage.files import DamagedError
from kerasrl.storage.trees import Held


def require_sound(tree: Any) -> None:
    """Raise `DamagedError` if a tree has a generator whose place in its numbers is not among them.

    NumPy would read what is beside them.
    """
    rest, seen = [tree], set[int]()
    while rest:
        value = rest.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, Held):
            rest.append(value.content)
        elif isinstance(value, dict):
            if isinstance(state := value.get("state"), dict) and "bit_generator" in value:
                require_within(state.get("pos", 0), 624)  # Mersenne Twister
                require_within(value.get("buffer_pos", 0), 4)  # Philox
            rest += value.values()
        elif isinstance(value, list | tuple | deque):
            rest += value


def require_within(value: Any, most: int) -> None:
    """Raise `DamagedError` if a value is not a whole number from 0 to `most`."""
    if type(value) is not int or not 0 <= value <= most:
        raise DamagedError
