"""What `step` and `reset` return, in gym until 0.25 and since 0.26: the one place that knows how they correspond.

Imports nothing, so that it can be used before the libraries are imported.
"""

from typing import Any

TIME_LIMIT = "TimeLimit.truncated"  # in older gym, a key in the info that tells a time limit from an end


# Where a wrapper that begins the next episode by itself, and returns its first observation, leaves the last one.
FINAL_OBSERVATION = ("final_observation", "final_obs", "terminal_observation")  # gym and Gymnasium; Stable-Baselines3


def to_five_values(observation: Any, reward: Any, done: Any, info: Any) -> tuple[Any, Any, Any, bool, Any]:
    """Return observation, reward, terminated, truncated and info for the four values of older gym's `step`.

    What is no truth value is left as it is, for who asks for one.
    """
    truncated = isinstance(info, dict) and bool(info.get(TIME_LIMIT, False)) and bool(done)
    return observation, reward, False if truncated else done, truncated, info


def at_the_end(observation: Any, info: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Return the last observation and info of an episode that has ended, also if the next one has begun already."""
    for name in FINAL_OBSERVATION:
        if info.get(name) is not None:
            final = info.get("final_info")
            return info[name], final if isinstance(final, dict) else info
    return observation, info


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
