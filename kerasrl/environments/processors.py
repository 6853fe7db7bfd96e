"""This project's processors: discrete observations as networks take them, Atari's screens."""

from kerasrl.compat import keras_rl as keras_rl  # before the imports that it makes work

# isort: split

from typing import Any

import numpy as np
import rl.core
from PIL import Image

from kerasrl.environments.spaces import kind_of
from kerasrl.errors import UserError

_SCREEN = (84, 84)


class AtariProcessor(rl.core.Processor):
    """See the screen as 84 x 84 grey pixels and learn from the sign of the score (Mnih et al. 2015)."""

    def process_observation(self, observation: np.ndarray) -> np.ndarray:
        """Return a screen [height, width, 3] in bytes as [84, 84] in bytes; raise `UserError` for anything else."""
        try:
            screen = Image.fromarray(observation)
        except (TypeError, AttributeError):
            what = f"shape {np.shape(observation)} and type {getattr(observation, 'dtype', type(observation).__name__)}"
            raise UserError(f"AtariProcessor takes a screen [height, width, 3] in bytes, not {what}") from None
        return np.asarray(screen.convert("L").resize(_SCREEN, Image.Resampling.BILINEAR))

    def process_reward(self, reward: float) -> float:
        """Return the reward clipped to [-1, 1]."""
        return float(np.clip(reward, -1, 1))


class OneHotProcessor(rl.core.Processor):
    """Turn each Discrete observation of a space, alone or in a Dict, into a vector of zeros with a one in its place."""

    def __init__(self, space: Any) -> None:
        parts = space.spaces if kind_of(space) == "Dict" else {None: space}
        # Size and first value of each Discrete part, as plain numbers, so that a training state can hold them.
        self.parts = [
            (key, int(part.n), int(getattr(part, "start", 0)))
            for key, part in parts.items()
            if kind_of(part) == "Discrete"
        ]

    @staticmethod
    def is_needed(space: Any) -> bool:
        """Return whether a space has a Discrete part."""
        return bool(OneHotProcessor(space).parts)

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
    except (TypeError, ValueError):  # a string, several numbers
        is_inside = False
    if not is_inside:
        raise UserError(
            f"the environment gave the observation {value!r:.60}, which is not from {start} to {start + n - 1}"
        )
    vector[int(value) - start] = 1
    return vector
