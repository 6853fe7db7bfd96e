"""TensorFlow 1's names: what only configured does nothing or what it does today, graphs are refused when used."""

import contextlib
import importlib
import logging
import os
import random
import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

from kerasrl.compat.quiet import quiet_stderr
from kerasrl.errors import UserError
from kerasrl.legacy import tensorflow_session
from kerasrl.legacy.notes import notes

# Functions that switch to or from TensorFlow 1's ways, which stay as they are: Keras 3 needs eager execution.
SWITCHES = (
    "disable_eager_execution", "enable_eager_execution", "disable_v2_behavior", "enable_v2_behavior",
    "disable_v2_tensorshape", "enable_v2_tensorshape", "disable_resource_variables", "enable_resource_variables",
    "disable_control_flow_v2", "enable_control_flow_v2", "disable_tensor_equality", "enable_tensor_equality",
)  # fmt: skip
# Functions that prepared a graph.
PREPARED = (
    "reset_default_graph", "global_variables_initializer", "initialize_all_variables", "local_variables_initializer",
    "tables_initializer", "variables_initializer",
)  # fmt: skip
# Names that built a graph: refused when they are used.
GRAPHS = (
    "placeholder", "placeholder_with_default", "get_variable", "variable_scope", "gradients", "get_collection",
    "assign", "assign_add", "global_variables", "trainable_variables", "layers", "estimator",
)  # fmt: skip
# Optimizer of TensorFlow 1 -> Keras's, and the arguments that have another name.
OPTIMIZERS: dict[str, tuple[str, dict[str, str]]] = {
    "AdamOptimizer": ("Adam", {"beta1": "beta_1", "beta2": "beta_2"}),
    "RMSPropOptimizer": ("RMSprop", {"decay": "rho"}),
    "GradientDescentOptimizer": ("SGD", {}),
    "MomentumOptimizer": ("SGD", {"use_nesterov": "nesterov"}),
    "AdagradOptimizer": ("Adagrad", {}),
    "AdadeltaOptimizer": ("Adadelta", {}),
}
# Submodules that lost names to tf.compat.v1.
_SUBMODULES = ("train", "random", "nn", "math", "summary", "io", "image", "config")


# A seed that was asked for before Keras was imported.
_for_later: list[int] = []


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Keep TensorFlow's announcements off the screen, unless the script asks for them."""
    level = os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with undrawn(), contextlib.nullcontext() if level in ("0", "1") else quiet_stderr():
        yield


@contextlib.contextmanager
def undrawn() -> Iterator[None]:
    """Leave Python's generator as a seed has left it, whatever is drawn while TensorFlow and Keras are imported."""
    state, is_seeded = random.getstate(), bool(_for_later)
    yield
    if is_seeded:
        random.setstate(state)


def seed_all(seed: int, name: str) -> None:
    """Seed every generator, as keras.utils.set_random_seed does; TensorFlow's once it is imported.

    Args:
        seed: Not negative.
        name: What the script called, for the notes.
    """
    notes.translated(f"{name}({seed}) -> keras.utils.set_random_seed({seed})")
    notes.seed = seed
    if "keras" in sys.modules:
        importlib.import_module("keras").utils.set_random_seed(seed)
    else:
        random.seed(seed)
        importlib.import_module("numpy.random").seed(seed)
        _for_later[:] = [seed]


def noting_seed(set_random_seed: Callable[[int], None]) -> Callable[[int], None]:
    """Return keras.utils.set_random_seed, which also tells `fit` the script's seed."""

    def noting(seed: int) -> None:
        if notes.is_asked_by_script():
            notes.seed = int(seed)
        set_random_seed(seed)

    return noting


def seed_later() -> None:
    """Seed TensorFlow and Keras, now that they are imported, as the script asked before."""
    for seed in _for_later:
        keras_state = importlib.import_module("keras.src.backend.common.global_state")
        keras_state.set_global_attribute("global_random_seed", seed)
        importlib.import_module("tensorflow").random.set_seed(seed)
    _for_later.clear()


def _seeding(name: str) -> Callable[[Any], None]:
    """Return what takes a seed for TensorFlow: Keras 3 draws weights from Python's generator."""
    return lambda seed: seed_all(int(seed), name)


def _switch(name: str) -> Callable[..., None]:
    def switch(*args: Any, **kwargs: Any) -> None:
        notes.translated(f"tf.{name}() -> left out: eager execution stays on")

    return switch


def _prepared(name: str) -> Callable[..., Any]:
    def prepare(*args: Any, **kwargs: Any) -> Any:
        notes.translated(f"tf.{name}() -> left out: there is no graph to prepare")
        return tensorflow_session.Nothing()

    return prepare


def _optimizer(old: str) -> Callable[..., Any]:
    today, names = OPTIMIZERS[old]

    def make(learning_rate: Any = 0.001, *args: Any, **kwargs: Any) -> Any:
        import keras

        notes.translated(f"tf.train.{old} -> keras.optimizers.{today}")
        if old == "MomentumOptimizer" and args:
            kwargs["momentum"], args = args[0], args[1:]
        kwargs = {names.get(name, name): value for name, value in kwargs.items() if name != "use_locking"}
        return getattr(keras.optimizers, today)(learning_rate, *args, **kwargs)

    return make


class _Missing(ModuleType):
    """A part of TensorFlow 1 that is gone: it can be imported, but not used."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Missing(f"{self.__name__}.{name}")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise UserError(f"{self.__name__} of TensorFlow 1 is missing: it built a graph, or is gone without a successor")


def _old_names() -> dict[str, Any]:
    """Return TensorFlow 1's names that mean something else here."""
    session = tensorflow_session.Session
    return {
        "Session": session, "InteractiveSession": session, "get_default_session": session,
        "get_default_graph": tensorflow_session.Graph,
        "set_random_seed": _seeding("tf.set_random_seed"),
        **{name: _switch(name) for name in SWITCHES},
        **{name: _prepared(name) for name in PREPARED},
        **{name: _Missing(f"tf.{name}") for name in ("contrib", *GRAPHS)},
    }  # fmt: skip


def _tensorflow(tf: Any) -> None:
    """Give TensorFlow's modules their old names back, for lines of the script."""
    logging.getLogger("tensorflow").setLevel(logging.ERROR)  # its advice is for those who write for today
    v1 = tf.compat.v1
    old = _old_names()
    _give(tf, "tf", v1, old)
    for name in _SUBMODULES:
        if hasattr(tf, name) and hasattr(v1, name):
            _give(getattr(tf, name), f"tf.{name}", getattr(v1, name), old if name == "random" else {})
    ops = importlib.import_module("tensorflow.python.framework.ops")
    for name in SWITCHES:
        if hasattr(ops, name):
            setattr(ops, name, _for_script(old[name], getattr(ops, name)))
    tf.random.set_seed = _for_script(_seeding("tf.random.set_seed"), tf.random.set_seed)
    _version_1(v1)
    _let_operations_take_symbols(tf)


def _version_1(v1: Any) -> None:
    """Give lines of the script what tf.compat.v1's names mean here; it is imported under two names."""
    old = _old_names()
    for name in ("Session", "InteractiveSession", "get_default_graph", "get_default_session", "set_random_seed"):
        setattr(v1, name, _for_script(old[name], getattr(v1, name)))
    for name in (*SWITCHES, *PREPARED, "placeholder", "placeholder_with_default"):
        if hasattr(v1, name):
            setattr(v1, name, _for_script(old[name], getattr(v1, name)))
    for name in OPTIMIZERS:
        setattr(v1.train, name, _for_script(_optimizer(name), getattr(v1.train, name)))
    v1.random.set_random_seed = v1.set_random_seed
    _give(v1, "tf.compat.v1", v1, {"contrib": old["contrib"]})


def _for_script(ours: Any, original: Any) -> Any:
    """Return what does ours for lines of the script and the original for all others."""

    def call(*args: Any, **kwargs: Any) -> Any:
        return (ours if notes.is_asked_by_script() else original)(*args, **kwargs)

    return call


def _give(module: Any, name: str, v1: ModuleType, old: dict[str, Any]) -> None:
    """Let lines of the script find TensorFlow 1's names in a module: ours, or those of tf.compat.v1."""
    before = getattr(module, "__getattr__", None)

    def found(attribute: str) -> Any:
        if not attribute.startswith("__") and notes.is_asked_by_script():
            if attribute in old:
                return old[attribute]
            if hasattr(v1, attribute):
                notes.translated(f"{name}.{attribute} -> tf.compat.v1{name[2:]}.{attribute}")
                return getattr(v1, attribute)
        if before is not None:
            return before(attribute)
        raise AttributeError(f"module {module.__name__!r} has no attribute {attribute!r}")

    module.__getattr__ = found


def _let_operations_take_symbols(tf: Any) -> None:
    """Let TensorFlow's functions take a Keras model's symbolic tensors, as in Keras 2: each becomes a Lambda layer."""
    from kerasrl.legacy.keras_backend import as_layer

    class OnSymbols(tf.__internal__.dispatch.GlobalOpDispatcher):
        def handle(self, op: Any, args: Any, kwargs: Any) -> Any:
            import keras

            if any(isinstance(value, keras.KerasTensor) for value in keras.tree.flatten((args, kwargs))):
                return as_layer(op, args, kwargs)
            return self.NOT_SUPPORTED

    OnSymbols().register()


def lost_module(name: str) -> ModuleType | None:
    """Return a module that TensorFlow dropped, None if it is not one of them."""
    is_old = name == "tensorflow.contrib" or name.startswith(("tensorflow.contrib.", "tensorflow.examples"))
    return _Missing(name) if is_old and notes.is_asked_by_script(3) else None


BEFORE: dict[str, Callable[[], None]] = {}
AROUND: dict[str, Callable[[], Any]] = {"tensorflow": _quietly}
LOADED: dict[str, Callable[[ModuleType], None]] = {"tensorflow": _tensorflow, "tensorflow.compat.v1": _version_1}
