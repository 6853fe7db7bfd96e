"""What keras-rl2 1.0.5 needs to import and run on TensorFlow with Keras 3; importing this module is enough.

Every repair names the upstream file and line. They are idempotent, and invisible to code that does not use Keras-RL.
gym's repairs are in `kerasrl.compat.gym`, which does not import TensorFlow.
"""

import contextlib
import os
import random
import sys
import traceback
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

from kerasrl.compat import gym as gym  # its repairs, too: whoever uses Keras-RL uses gym
from kerasrl.compat.matplotlib import import_matplotlib
from kerasrl.compat.quiet import quiet_stderr
from kerasrl.errors import UserError

# TensorFlow announces oneDNN, CUDA and CPU features while it is imported, before its logger obeys
# any setting. What it says later obeys TF_CPP_MIN_LOG_LEVEL; at 2, a machine without a GPU still gets an error.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
if "MPLBACKEND" in os.environ:
    with contextlib.suppress(ImportError):  # Keras does without it
        import_matplotlib()  # otherwise Keras imports it, and fails where that variable is wrong
_failure: Exception | None = None
with quiet_stderr():
    try:
        import keras
        import tensorflow as tf
        import tensorflow.keras.models
    except Exception as error:
        _failure = error

_chosen = getattr(sys.modules.get("keras.src.backend.config"), "backend", lambda: "tensorflow")()
if _chosen != "tensorflow":
    raise UserError(
        f"Keras is set to the backend {_chosen!r}, but kerasrl needs TensorFlow: set the environment variable "
        "KERAS_BACKEND=tensorflow before Keras is imported"
    )
_files = [Path(frame.filename).parts[-2:] for frame in traceback.extract_tb(getattr(_failure, "__traceback__", None))]
if {("backend", "config.py"), ("keras", "backend.py")} & set(_files):  # of Keras, of TensorFlow's private copy
    raise UserError("Keras does not understand its settings: correct or remove ~/.keras/keras.json") from None
if _failure is not None:
    raise _failure

# What rl takes from TensorFlow's Keras would not go with what comes from Keras.
if sys.modules["tensorflow.keras.models"].Model is not keras.Model:
    raise UserError(
        "TF_USE_LEGACY_KERAS makes tensorflow.keras Keras 2 (tf_keras), but kerasrl needs Keras 3: unset that variable "
        "(an old script that sets it runs as: python -m kerasrl SCRIPT)"
    )


def _model_from_config(config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> Any:
    """Rebuild a model from `{'class_name': ..., 'config': ...}`, as Keras 2 did under this name."""
    classes = {"Sequential": keras.Sequential, "Functional": keras.Model, "Model": keras.Model}
    classes |= custom_objects or {}
    with keras.saving.custom_object_scope(custom_objects):
        return classes[config["class_name"]].from_config(config["config"])


def _sample_batch_indexes(low: int, high: int, size: int) -> Any:
    """Draw `size` indexes from [low, high): each at most once where there are enough of them."""
    if high - low >= size:
        return random.sample(range(low, high), size)
    return np.random.randint(low, high, size=size).tolist()


def _zeroed_observation(observation: Any) -> Any:
    if isinstance(observation, dict):
        return {key: _zeroed_observation(value) for key, value in observation.items()}
    if isinstance(observation, list | tuple) and any(isinstance(value, np.ndarray) for value in observation):
        return [_zeroed_observation(value) for value in observation]
    return np.zeros_like(np.asarray(observation))[()]


class _RingBuffer:
    """The last `maxlen` values, the oldest first."""

    def __init__(self, maxlen: int) -> None:
        self.maxlen = maxlen
        self._values: list[Any] = []
        self._oldest = 0

    def __len__(self) -> int:
        return len(self._values)

    def __getitem__(self, idx: int) -> Any:
        if not 0 <= idx < len(self):
            raise KeyError(idx)
        return self._values[(self._oldest + idx) % self.maxlen]

    def append(self, v: Any) -> None:
        if len(self) < self.maxlen:
            self._values.append(v)
        else:
            self._values[self._oldest] = v
            self._oldest = (self._oldest + 1) % self.maxlen


def _refuse_to_compile(self: Any, optimizer: Any, metrics: Any = ()) -> None:
    raise RuntimeError("Keras-RL's own DQNAgent cannot learn on Keras 3; use `from kerasrl import DQNAgent`")


def _update_normalizer(self: Any, x: Any) -> None:
    """Add a batch [n, *shape] to a WhiteningNormalizer, whatever its type."""
    x = np.asarray(x, np.float64).reshape(-1, *self.shape)
    self._count += len(x)
    self._sum = self._sum + x.sum(axis=0)
    self._sumsq = self._sumsq + np.square(x).sum(axis=0)
    self.mean = self._sum / self._count
    self.std = np.sqrt(np.maximum(np.square(self.eps), self._sumsq / self._count - np.square(self.mean)))


# rl/util.py:3 imports `model_from_config`, which Keras 3 dropped.
if not hasattr(tf.keras.models, "model_from_config"):
    tf.keras.models.model_from_config = _model_from_config

# rl/callbacks.py:9-10 builds on TensorFlow's private copy of Keras 2, rl/core.py:5 on Keras 3;
# mixed in one CallbackList they fail ('History' has no '_implements_train_batch_hooks').
_stand_ins: dict[str, Any] = {
    "tensorflow.python.keras.callbacks": keras.callbacks,
    "tensorflow.python.keras.utils.generic_utils": keras.utils,
}
_own = {name: sys.modules[name] for name in _stand_ins if name in sys.modules}
sys.modules.update(_stand_ins)
try:
    import rl.callbacks
finally:
    for _name in _stand_ins:
        del sys.modules[_name]
    sys.modules.update(_own)

# rl/agents/ddpg.py:9 switches eager execution off for the whole process.
with patch.object(tf.compat.v1, "disable_eager_execution"):
    import rl.agents
    import rl.memory
    import rl.util

# rl/util.py:86 AdditionalUpdatesOptimizer hooks into get_updates, which Keras 3's optimizers lack: the agent's
# own soft target update cannot work, and a target network that never moves must not pass for one that does.
rl.agents.dqn.DQNAgent.compile = _refuse_to_compile

# rl/util.py:126 adds up in the type of the first batch, in which bytes overflow and narrow floats are rounded.
rl.util.WhiteningNormalizer.update = _update_normalizer

# rl/memory.py:41 draws with np.random.random_integers, which has been deprecated since NumPy 1.11 and warns
# at every step of the tutorial's warm-up.
rl.memory.sample_batch_indexes = _sample_batch_indexes

# rl/memory.py:54 fills the frames before an episode with zeros in 64-bit floats, whatever the observations are, and
# with lists of zeros for what is no array.
rl.memory.zeroed_observation = _zeroed_observation

# rl/memory.py:128 replaced the ring buffers of keras-rl 0.4.2, of which people made memories of their own, by deques.
rl.memory.RingBuffer = _RingBuffer
