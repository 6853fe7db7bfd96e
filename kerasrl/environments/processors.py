"""Discrete observations as networks take them."""

from kerasrl.compat import keras_rl as keras_rl  # before the imports that it makes work

# isort: split

from typing import Any

import numpy as np
import rl.core

from kerasrl.errors import UserError


class OneHotProcessor(rl.core.Processor):
    """Turn each Discrete observation, alone or in a Dict, into a vector of zeros with a one in its place.

    Args:
        space: The environment's observation space.
    """

    def __init__(self, space: Any) -> None:
        parts = space.spaces if type(space).__name__ == "Dict" else {None: space}
        # Number and first value of each Discrete part; plain numbers, so that a training state can hold them.
        self.parts = [
            (key, int(part.n), int(getattr(part, "start", 0)))
            for key, part in parts.items()
            if type(part).__name__ == "Discrete"
        ]

    @staticmethod
    def is_needed(space: Any) -> bool:
        """Return whether a space has a Discrete part."""
        parts = space.spaces.values() if type(space).__name__ == "Dict" else [space]
        return any(type(part).__name__ == "Discrete" for part in parts)

    def process_observation(self, observation: Any) -> Any:
        """Return the vector [n], or the dictionary with vectors."""
        if not isinstance(observation, dict):
            ((_, n, start),) = self.parts
            return _one_hot(observation, n, start)
        vectors = {key: _one_hot(observation[key], n, start) for key, n, start in self.parts}
        return {**observation, **vectors}


def _one_hot(value: Any, n: int, start: int) -> np.ndarray:
    vector = np.zeros(n, np.float32)
    try:
        is_inside = bool(start <= value < start + n)
    except (TypeError, ValueError):  # a text, several numbers
        is_inside = False
    if not is_inside:
        raise UserError(
            f"the environment gave the observation {value!r:.60}, which is not from {start} to {start + n - 1}"
        )
    vector[int(value) - start] = 1
    return vector
