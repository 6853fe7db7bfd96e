"""Keras-RL's DQN on today's TensorFlow: the engine under the recipe in train.py and test.py.

The names below are imported on first use, because importing TensorFlow takes seconds.
"""

from importlib import import_module
from typing import Any

_HOMES = {
    "DQNAgent": "kerasrl.dqn",
    "ExponentialAnnealedPolicy": "kerasrl.dqn",
    "SequentialMemory": "kerasrl.dqn",
    "UserError": "kerasrl.errors",
    "WeightsError": "kerasrl.errors",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
