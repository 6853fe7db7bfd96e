"""How an agent appends a step to its memory, whoever wrote the memory's `append`."""

from collections.abc import Callable
from typing import Any

from kerasrl.overrides import takes

Append = Callable[[tuple[Any, Any, float, bool], bool, bool], None]


def appending(memory: Any, reward_scale: float = 1.0) -> Append:
    """Return what appends an observation, action, reward and end, given whether to store them and the time limit.

    Our memory is told that a time limit ended the episode, also where somebody's own `append` is in between that only
    knows Keras-RL's arguments. Rewards are multiplied by `reward_scale`.
    """
    append = _appending(memory)
    if reward_scale == 1:
        return append

    def append_scaled(step: tuple[Any, Any, float, bool], training: bool, truncated: bool) -> None:
        observation, action, reward, terminal = step
        append((observation, action, reward * reward_scale, terminal), training, truncated)

    return append_scaled


def _appending(memory: Any) -> Append:
    if not hasattr(memory, "truncate_episode"):  # of Keras-RL's own
        return lambda step, training, truncated: memory.append(*step, training=training)
    if takes(memory.append, "truncated"):
        return lambda step, training, truncated: memory.append(*step, training=training, truncated=truncated)

    def append(step: tuple[Any, Any, float, bool], training: bool, truncated: bool) -> None:
        memory.is_truncated = truncated
        memory.append(*step, training=training)
        memory.is_truncated = False

    return append
