"""Keras-RL's DQN on today's TensorFlow: the engine under the recipe in train.py and test.py.

The names below are imported on first use, because importing TensorFlow takes seconds.
"""

import sys

if sys.version_info < (3, 10):  # noqa: UP036  # before anything is imported that older versions cannot read
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    sys.exit(f"error: this is Python {version}, and 3.10 to 3.13 are supported; run a newer one")

# isort: split

from importlib import import_module
from typing import Any

_HOMES = {
    "DQNAgent": "kerasrl.dqn",
    "ExponentialAnnealedPolicy": "kerasrl.dqn",
    "PrioritizedMemory": "kerasrl.dqn",
    "SequentialMemory": "kerasrl.dqn",
    "UserError": "kerasrl.errors",
    "WeightsError": "kerasrl.errors",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
