"""This project's processors: discrete observations as networks take them, Atari's screens."""

from kerasrl.compat import keras_rl as keras_rl  # before the imports that it makes work

# isort: split

from collections.abc import Sequence
from typing import Any

import numpy as np
import rl.core
from PIL import Image

from kerasrl.environments.shown import parts_of
from kerasrl.environments.spaces import SUPPORTED, kind_of
from kerasrl.errors import UserError


class AtariProcessor(rl.core.Processor):
    """See the screen as 84 x 84 grey pixels and learn from the sign of the score (Mnih et al. 2015)."""

    def process_observation(self, observation: np.ndarray) -> np.ndarray:
        """Return a screen in bytes, [height, width, 3] or, in grey, [height, width], as [84, 84] in bytes.

        Raises:
            UserError: It is anything else.
        """
        return self._smaller(self._grey(observation))

    def process_reward(self, reward: float) -> float:
        """Return the reward clipped to [-1, 1]."""
        return float(np.clip(reward, -1, 1))

    def _grey(self, observation: np.ndarray) -> Image.Image:
        try:
            return Image.fromarray(observation).convert("L")
        except (TypeError, AttributeError):
            what = f"shape {np.shape(observation)} and type {getattr(observation, 'dtype', type(observation).__name__)}"
            raise UserError(
                f"{type(self).__name__} takes a screen [height, width, 3] or [height, width] in bytes, not {what}"
            ) from None

    def _smaller(self, screen: Image.Image) -> np.ndarray:
        return np.asarray(screen.resize((84, 84), Image.Resampling.BILINEAR))


class SmallAtariProcessor(AtariProcessor):
    """See the screen as 42 x 40 grey pixels, each the mean of 5 x 4: a quarter of the work of 84 x 84."""

    def _smaller(self, screen: Image.Image) -> np.ndarray:
        return np.asarray(screen.reduce((4, 5)))


class _OfSpace(rl.core.Processor):
    """A processor that follows from a space, so that weights need not bring along what it holds."""

    def get_state(self) -> dict[str, Any]:
        """Return nothing."""
        return {}

    def set_state(self, state: dict[str, Any]) -> None:
        """Do nothing."""


class OneHotProcessor(_OfSpace):
    """Turn each Discrete observation of a space, alone or in a Dict, into a vector of zeros with a one in its place."""

    def __init__(self, space: Any) -> None:
        parts = space.spaces if kind_of(space) == "Dict" else {None: space}
        # Size and first value of each Discrete part, as plain numbers, so that a training state can hold them.
        self.parts = [
            (key, int(part.n), int(getattr(part, "start", 0)))
            for key, part in parts.items()
            if kind_of(part) == "Discrete"
        ]

    @property
    def one_hot(self) -> tuple[Any, ...]:
        """The keys of the parts that become such vectors; None for an observation without parts."""
        return tuple(key for key, _, _ in self.parts)

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


class FlatteningProcessor(_OfSpace):
    """Give a network what it takes of the observations of any space that is supported.

    Each number of Discrete and MultiDiscrete ones becomes a vector of zeros with a one in its place. What has parts
    becomes a dictionary of arrays, with a dot between the keys of a Dict in a Dict; a Tuple's keys are 0, 1 and so on.

    Args:
        space: The space.

    Raises:
        UserError: It is not supported.
    """

    def __init__(self, space: Any) -> None:
        # As plain values, so that a training state can hold them.
        self.parts = [(part.name, part.path, part.sizes, part.starts) for part in parts_of(space, SUPPORTED)]

    @property
    def one_hot(self) -> tuple[Any, ...]:
        """The keys of the parts that become such vectors; None for an observation without parts."""
        return tuple(name if path else None for name, path, sizes, _ in self.parts if sizes)

    @staticmethod
    def is_needed(space: Any) -> bool:
        """Return whether a space has parts in parts, places instead of keys, or MultiDiscrete ones."""
        parts = parts_of(space, SUPPORTED)
        return kind_of(space) == "Tuple" or any(len(p.path) > 1 or p.kind == "MultiDiscrete" for p in parts)

    def process_observation(self, observation: Any) -> Any:
        """Return the array, or the dictionary of arrays."""
        flat = {name: _flat(observation, path, sizes, starts) for name, path, sizes, starts in self.parts}
        return flat if self.parts[0][1] else flat[""]


def processor_for(space: Any) -> rl.core.Processor | None:
    """Return what has to come between observations of a space and a network, None if nothing has to."""
    if FlatteningProcessor.is_needed(space):
        return FlatteningProcessor(space)
    return OneHotProcessor(space) if OneHotProcessor.is_needed(space) else None


def _flat(observation: Any, path: Sequence[Any], sizes: Sequence[int], starts: Sequence[int]) -> np.ndarray:
    value = observation
    for key in path:
        try:
            value = value[key]
        except (KeyError, IndexError, TypeError):
            raise UserError(
                f"the environment gave the observation {observation!r:.60}, without the part {key}"
            ) from None
    if not sizes:
        return np.asarray(value)
    numbers = np.ravel(value).tolist()
    if len(numbers) != len(sizes):
        raise UserError(f"the environment gave the observation {value!r:.60}, not {len(sizes)} whole numbers")
    return np.concatenate([_one_hot(*each) for each in zip(numbers, sizes, starts, strict=True)])


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
