"""The environment's own rewards, beside those that a processor makes of them and an agent learns from."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

OWN, PROCESSED = "environment_reward", "episode_reward"  # an episode's sums of both, in logs


def changes_rewards(processor: Any) -> bool:
    """Return whether a processor, None for none, has a `process_reward` or a `process_step` of its own."""
    if processor is None:
        return False
    from rl.core import Processor  # here, since it imports TensorFlow

    hooks = [(getattr(processor, name, None), getattr(Processor, name)) for name in ("process_reward", "process_step")]
    return any(getattr(own, "__func__", own) is not keras_rls for own, keras_rls in hooks)


def or_else(own: float | None, processed: float) -> float:
    """Return an environment's own reward; if it is no finite number, what a processor has made of it."""
    try:
        return float(own) if own is not None and math.isfinite(own) else processed
    except OverflowError:  # an integer of hundreds of digits
        return processed


def own_rewards(history: Mapping[str, Sequence[float]]) -> list[float]:
    """Return the environment's own reward of each episode in a History's lists; Keras-RL's where they are the same."""
    return list(history[OWN] if OWN in history else history.get(PROCESSED, []))


def processed_rewards(history: Mapping[str, Sequence[float]]) -> list[float]:
    """Return what a processor has made of them; nothing if that is the same."""
    processed = list(history.get(PROCESSED, []))
    return processed if OWN in history and processed != list(history[OWN]) else []
