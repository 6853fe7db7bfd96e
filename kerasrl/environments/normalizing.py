"""Observations normalised by all that a training has seen so far, as Stable-Baselines3's VecNormalize does it.

https://github.com/DLR-RM/stable-baselines3/blob/master/stable_baselines3/common/vec_env/vec_normalize.py has the two
numbers below. As there, the memory keeps what the environment gave: the statistics of the moment apply whenever a state
is used, so that an old observation looks to a network like a new one.
"""

from kerasrl.compat import keras_rl as keras_rl  # before the imports that it makes work

# isort: split

from typing import Any

import numpy as np
import rl.core

from kerasrl.environments.processors import FlatteningProcessor, OneHotProcessor
from kerasrl.environments.spaces import in_order, parts
from kerasrl.errors import UserError

CLIP = 10.0  # standard deviations from the mean
EPSILON = 1e-8  # added to variances
_HOOKS = ("process_step", "process_observation", "process_reward", "process_info", "process_action")


class Statistics:
    """Mean and variance of each number in arrays of one shape, updated by one array at a time (Welford 1962).

    Attributes:
        mean, squares: Means, and sums of the squared differences from them, in 64 bits.
        scale: What differences from the mean are multiplied by; 1 before the first array.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.mean, self.squares, self.scale = np.zeros(shape), np.zeros(shape), np.ones(shape)

    def add(self, array: np.ndarray, count: int) -> None:
        """Take an array into account, the `count`-th one."""
        with np.errstate(all="ignore"):  # numbers that are not finite end the training
            difference = np.asarray(array - self.mean)
            self.mean += difference / count
            difference *= difference
            difference *= (count - 1) / count
            self.squares += difference
            self.update_scale(count)

    def update_scale(self, count: int) -> None:
        """Follow the squares, of so many arrays."""
        if count:
            variance = np.asarray(self.squares / count)
            variance += EPSILON
            self.scale = np.reciprocal(np.sqrt(variance, out=variance), out=variance)
        else:
            self.scale = np.ones_like(self.mean)

    def normalized(self, array: np.ndarray) -> np.ndarray:
        """Return an array [..., *shape] normalised, clipped, and in 32 bits; raise `UserError` for another shape."""
        mean = self.mean
        if array.shape[array.ndim - mean.ndim :] != mean.shape:
            raise UserError(
                f"states of shape {array.shape[1:]} cannot be normalised like numbers of shape {mean.shape}"
            )
        with np.errstate(all="ignore"):
            x = array - mean
            x *= self.scale
            np.minimum(x, CLIP, out=x)
            np.maximum(x, -CLIP, out=x)
            return x.astype(np.float32)


class Normalizer:
    """Normalises observations, number by number; a dictionary's parts have their own statistics.

    Args:
        observation: One like those to come, which shows their shapes.
        left_out: Keys of the parts that stay as they are; None is an observation without parts.

    Attributes:
        keys: Those of the parts as texts, in the order of `parts`; None for observations that are no dictionaries.
        count: Observations so far.
        statistics: Of each part, None for those that stay as they are.

    Raises:
        UserError: They are pictures, or there is nothing to normalise.
    """

    def __init__(self, observation: Any, left_out: tuple[Any, ...] = ()) -> None:
        arrays, is_dict = parts(observation), isinstance(observation, dict)
        keys = in_order(observation) if is_dict else [None] * len(arrays)
        for array in arrays:
            if array.dtype == np.uint8 and array.ndim > 1:
                raise UserError(
                    f"normalize_observations is not for pictures, here of {' x '.join(map(str, array.shape))} bytes: "
                    "leave it out; a network can begin with keras.layers.Rescaling(1 / 255) instead"
                )
        shapes = [None if key in left_out else array.shape for key, array in zip(keys, arrays, strict=True)]
        if all(shape is None for shape in shapes):
            raise UserError("normalize_observations does nothing for Discrete observations: leave it out")
        self.keys = list(map(str, keys)) if is_dict else None
        self.count = 0
        self.statistics = [None if shape is None else Statistics(shape) for shape in shapes]

    def add(self, observation: Any) -> None:
        """Take an observation of a training into account; raise `UserError` if it has another shape."""
        arrays = parts(observation)
        shapes = [array.shape for array in arrays]
        known = [shape if own is None else own.mean.shape for own, shape in zip(self.statistics, shapes, strict=False)]
        if shapes != known or len(shapes) != len(self.statistics):
            raise UserError(f"an observation has other shapes than before: {shapes}")
        self.count += 1
        for own, array in zip(self.statistics, arrays, strict=True):
            if own is not None:
                own.add(array, self.count)

    def normalized(self, arrays: list[np.ndarray]) -> list[np.ndarray]:
        """Return arrays [..., *part], one for each part, as networks take them."""
        both = zip(self.statistics, arrays, strict=True)
        return [array if own is None else own.normalized(array) for own, array in both]

    def normalize_rows(self, rows: np.ndarray, shape: tuple[int, ...]) -> None:
        """Normalise, in their place, the two numbers or vectors of a shape with which rows of 32-bit floats begin."""
        (own,) = self.statistics
        assert own is not None
        strides = rows.strides[0], rows.itemsize * own.mean.size, *([rows.itemsize] * len(shape))
        both = np.ndarray((len(rows), 2, *shape), rows.dtype, rows, 0, strides)
        both[...] = own.normalized(both)

    def get_state(self) -> dict[str, Any]:
        """Return the statistics."""
        known = [own for own in self.statistics if own is not None]
        return {"count": self.count, "means": [own.mean for own in known], "squares": [own.squares for own in known]}

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on with what `get_state` returned; raise `UserError` if that is of other observations, or damaged."""
        known = [own for own in self.statistics if own is not None]
        wanted, count = [own.mean.shape for own in known], state["count"]
        for arrays in (state["means"], state["squares"]):
            if [array.shape for array in arrays] != wanted or any(array.dtype != np.float64 for array in arrays):
                found = [array.shape for array in arrays]
                raise UserError(f"the statistics are those of observations of shape {found}, not {wanted}")
        if type(count) is not int or not 0 <= count < 2**53 or any((array < 0).any() for array in state["squares"]):
            raise UserError("the statistics are damaged: no observations have such ones")
        self.count = count
        for own, mean, squares in zip(known, state["means"], state["squares"], strict=True):
            own.mean, own.squares = mean.copy(), squares.copy()
            own.update_scale(count)


class NormalizingProcessor(rl.core.Processor):
    """A processor for agents that are to normalise observations: networks then see numbers of mean 0 and variance 1.

    The agent takes it apart: its `normalizer` has the statistics, its `processor` is the one given here, if any.

    Args:
        observation: One like those to come, such as env.observation_space.sample(), after the other processor.
        processor: Another rl.core.Processor, which comes before. The vectors of zeros and a one that this
            project's make stay as they are.

    Raises:
        UserError: The observations are pictures or all Discrete, or the other processor changes whole states.
    """

    def __init__(self, observation: Any, processor: Any = None) -> None:
        is_own = isinstance(processor, OneHotProcessor | FlatteningProcessor)
        self.normalizer = Normalizer(observation, processor.one_hot if is_own else ())
        self.processor = processor
        if processor is not None:
            name = type(processor).__name__
            if type(processor).process_state_batch is not rl.core.Processor.process_state_batch:
                raise UserError(
                    f"normalize_observations does not go together with {name}.process_state_batch, which changes whole "
                    "states: leave one of them out"
                )
            self.__dict__.update({hook: getattr(processor, hook) for hook in _HOOKS})
