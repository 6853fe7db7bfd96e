"""What `step` and `reset` return, in gym until 0.25 and since 0.26: the one place that knows how they correspond.

Imports nothing, so that it can be used before the libraries are imported.
"""

from typing import Any

TIME_LIMIT = "TimeLimit.truncated"  # in older gym, a key in the info that tells a time limit from an end


def to_five_values(observation: Any, reward: Any, done: Any, info: Any) -> tuple[Any, Any, bool, bool, Any]:
    """Return observation, reward, terminated, truncated and info for the four values of older gym's `step`."""
    truncated = bool(done) and isinstance(info, dict) and bool(info.get(TIME_LIMIT, False))
    return observation, reward, bool(done) and not truncated, truncated, info


def to_four_values(
    observation: Any, reward: Any, terminated: Any, truncated: Any, info: Any
) -> tuple[Any, Any, Any, Any]:
    """Return observation, reward, done and info as older gym's `step` did, also for several environments."""
    if hasattr(terminated, "shape") and terminated.shape:
        return observation, reward, terminated | truncated, info
    if truncated and isinstance(info, dict):
        info = {**info, TIME_LIMIT: not terminated}
    return observation, reward, bool(terminated or truncated), info


def has_info(result: Any) -> bool:
    """Return whether `reset` returned observation and info, as it has since gym 0.26, not just the observation."""
    return isinstance(result, tuple) and len(result) == 2 and isinstance(result[1], dict)
