"""What environments return, checked at each step: an error names the method that returned it."""

import contextlib
from typing import Any

import numpy as np
import rl.core

from kerasrl.diagnosis import definition
from kerasrl.environments.spaces import in_order, parts
from kerasrl.errors import UserError
from kerasrl.plain import number


class EnvironmentChecks:
    """Checks the observations and rewards of one environment, after its rl.core.Processor if there is one."""

    def __init__(self, env: Any, processor: Any) -> None:
        self._env = env
        self._processor = processor
        self._shapes: Any = None  # of the first observation
        # An observation that is one array of this shape and type needs no further check.
        self.shape: Any = None
        self.dtype: Any = None

    def check_observation(self, observation: Any, method: str) -> None:
        """Raise `UserError` unless what `method` returned holds numbers in the shape of the first observation."""
        try:
            arrays = parts(observation)
        except ValueError:  # lists of different lengths
            arrays = [np.array(None)]
        if any(not np.issubdtype(array.dtype, np.number) and array.dtype != np.bool_ for array in arrays):
            raise self._error(method, f"{observation!r:.60} as observation, which must hold numbers")
        shapes = _shapes(observation, arrays)
        if self._shapes is None:
            self._shapes = shapes
        elif shapes != self._shapes:
            raise self._error(method, f"an observation of shape {shapes} after one of shape {self._shapes}")
        if type(observation) is np.ndarray:
            self.shape, self.dtype = observation.shape, observation.dtype

    def explain(self) -> None:
        """Raise `UserError` if the agent could not act because the environment's observation_space is wrong."""
        space: Any = getattr(self._env, "observation_space", None)
        if self._processor is not None or self._shapes is None or space is None:
            return
        spaces = getattr(space, "spaces", None)
        said = {key: part.shape for key, part in spaces.items()} if isinstance(spaces, dict) else space.shape
        if said is not None and said != self._shapes:
            what = f"an observation of shape {self._shapes}, but its observation_space has shape {said}"
            raise self._error("reset", what) from None

    def number(self, reward: Any) -> float:
        """Return a reward as a float, even if it came in an array; raise `UserError` if it is not a number."""
        found = number(reward)
        if found is None and isinstance(reward, list | tuple):
            with contextlib.suppress(ValueError):  # lists of different lengths
                found = number(np.asarray(reward))
        if found is None:
            raise self._error("step", f"{reward!r:.60} as reward, which must be a number", "process_reward")
        try:
            return float(found)
        except OverflowError:
            raise self._error("step", "a reward that is too large for a float", "process_reward") from None

    def _error(self, method: str, what: str, hook: str = "") -> UserError:
        """Return the error about what `method` of the environment, or else a processor's own `hook`, returned."""
        kind, base = type(self._processor or rl.core.Processor()), rl.core.Processor
        if hook and (getattr(kind, hook) != getattr(base, hook) or kind.process_step != base.process_step):
            return UserError(f"the processor {kind.__name__} returned {what}")
        return UserError(f"the environment's {method}() returned {what}{definition(self._env, method)}")


def _shapes(observation: Any, arrays: list[np.ndarray]) -> Any:
    if isinstance(observation, dict):
        return {key: array.shape for key, array in zip(in_order(observation), arrays, strict=True)}
    return arrays[0].shape if len(arrays) == 1 else [array.shape for array in arrays]
