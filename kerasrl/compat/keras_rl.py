"""What keras-rl2 1.0.5 needs to import and run on TensorFlow with Keras 3; importing this module is enough.

Every repair names the upstream file and line. All are idempotent, and none is visible to code that
does not use Keras-RL. gym's repairs are in `kerasrl.compat.gym`, which does not import TensorFlow.
"""

import contextlib
import os
import random
import sys
import types
from collections.abc import Iterator
from typing import Any

from kerasrl.compat import gym as gym  # its repairs, too: who uses Keras-RL uses gym
from kerasrl.compat.quiet import quiet_stderr

# TensorFlow announces oneDNN, CUDA and CPU features while it is imported, before its logger obeys
# any setting. What it says later obeys TF_CPP_MIN_LOG_LEVEL; at 2, a machine without a GPU still gets an error.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
with quiet_stderr():
    import tensorflow as tf
    import tensorflow.keras.models
import keras
import numpy as np


@contextlib.contextmanager
def _modules(**replacements: types.ModuleType) -> Iterator[None]:
    """Stand in for modules, named with `__` for dots, while something is imported."""
    names = {key.replace("__", "."): module for key, module in replacements.items()}
    saved = {name: sys.modules.get(name) for name in names}
    sys.modules.update(names)
    try:
        yield
    finally:
        for name, module in saved.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module


def _module(name: str, **contents: Any) -> types.ModuleType:
    module = types.ModuleType(name)
    vars(module).update(contents)
    return module


def _model_from_config(config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> Any:
    """Rebuild a model from `{'class_name': ..., 'config': ...}`, as Keras 2 did under this name."""
    classes = {
        "Sequential": keras.Sequential,
        "Functional": keras.Model,
        "Model": keras.Model,
        **(custom_objects or {}),
    }
    with keras.saving.custom_object_scope(custom_objects):
        return classes[config["class_name"]].from_config(config["config"])


def _sample_batch_indexes(low: int, high: int, size: int) -> Any:
    """Draw `size` indexes from [low, high): each at most once where there are enough of them."""
    if high - low >= size:
        return random.sample(range(low, high), size)
    return np.random.randint(low, high, size=size).tolist()


def _zeroed_observation(observation: Any) -> Any:
    """Return zeros in the observation's shape and type."""
    if isinstance(observation, dict):
        return {key: _zeroed_observation(value) for key, value in observation.items()}
    if isinstance(observation, list | tuple):
        return [_zeroed_observation(value) for value in observation]
    return np.zeros_like(observation) if isinstance(observation, np.ndarray | np.generic) else 0


def _refuse_to_compile(self: Any, optimizer: Any, metrics: Any = ()) -> None:
    raise RuntimeError("Keras-RL's own DQNAgent cannot learn on Keras 3; use `from kerasrl import DQNAgent`")


def _import_keras_rl() -> None:
    # rl/util.py:3 imports `model_from_config`, which Keras 3 dropped.
    if not hasattr(tf.keras.models, "model_from_config"):
        tf.keras.models.model_from_config = _model_from_config

    # rl/callbacks.py:9-10 builds on TensorFlow's private copy of Keras 2, rl/core.py:5 on Keras 3;
    # mixed in one CallbackList they fail ('History' has no '_implements_train_batch_hooks').
    with _modules(
        tensorflow__python__keras__callbacks=_module(
            "tensorflow.python.keras.callbacks",
            Callback=keras.callbacks.Callback,
            CallbackList=keras.callbacks.CallbackList,
        ),
        tensorflow__python__keras__utils__generic_utils=_module(
            "tensorflow.python.keras.utils.generic_utils", Progbar=keras.utils.Progbar
        ),
    ):
        import rl.callbacks

    # rl/agents/ddpg.py:9 switches eager execution off for the whole process.
    disable_eager_execution = tf.compat.v1.disable_eager_execution
    tf.compat.v1.disable_eager_execution = lambda: None
    try:
        import rl.agents
    finally:
        tf.compat.v1.disable_eager_execution = disable_eager_execution

    # rl/util.py:86 AdditionalUpdatesOptimizer hooks into get_updates, which Keras 3's optimizers lack: the agent's
    # own soft target update cannot work, and a target network that never moves must not pass for one that does.
    rl.agents.dqn.DQNAgent.compile = _refuse_to_compile

    # rl/memory.py:41 draws with np.random.random_integers, which is deprecated since NumPy 1.11 and warns
    # on every step of the tutorial's warm-up.
    import rl.memory

    rl.memory.sample_batch_indexes = _sample_batch_indexes

    # rl/memory.py:54 fills the frames before an episode with zeros in 64-bit floats, whatever the observations are.
    rl.memory.zeroed_observation = _zeroed_observation


_import_keras_rl()
