"""TensorFlow 1's names: settings do nothing, or what they do today; graphs are refused when they are used."""

import contextlib
import importlib
import logging
import os
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

from kerasrl.compat.quiet import quiet_stderr
from kerasrl.errors import UserError
from kerasrl.legacy import seeding
from kerasrl.legacy.old_names import left_out, let_find
from kerasrl.legacy.report import report
from kerasrl.legacy.script import script
from kerasrl.legacy.tensorflow import session, symbols

# Functions that switch between TensorFlow 1's ways and today's; they do nothing, since Keras 3 needs eager execution.
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
# Optimizer of TensorFlow 1 -> Keras's, and arguments whose names differ.
OPTIMIZERS: dict[str, tuple[str, dict[str, str]]] = {
    "AdamOptimizer": ("Adam", {"beta1": "beta_1", "beta2": "beta_2"}), "AdagradOptimizer": ("Adagrad", {}),
    "RMSPropOptimizer": ("RMSprop", {"decay": "rho"}), "AdadeltaOptimizer": ("Adadelta", {}),
    "MomentumOptimizer": ("SGD", {"use_nesterov": "nesterov"}), "GradientDescentOptimizer": ("SGD", {}),
}  # fmt: skip
# Submodules that lost names to tf.compat.v1.
_SUBMODULES = ("train", "random", "nn", "math", "summary", "io", "image", "config")


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Keep TensorFlow's announcements off the screen, unless the script asks for them."""
    level = os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with seeding.undrawn(), contextlib.nullcontext() if level in ("0", "1") else quiet_stderr():
        yield


def _optimizer(old: str) -> Callable[..., Any]:
    today, names = OPTIMIZERS[old]

    def make(learning_rate: Any = 0.001, *args: Any, **kwargs: Any) -> Any:
        import keras

        report.translated(f"tf.train.{old} -> keras.optimizers.{today}")
        if old == "MomentumOptimizer" and args:
            kwargs["momentum"], args = args[0], args[1:]
        kwargs = {names.get(name, name): value for name, value in kwargs.items() if name != "use_locking"}
        return getattr(keras.optimizers, today)(learning_rate, *args, **kwargs)

    return make


class _Missing(ModuleType):
    """A part of TensorFlow 1 that is gone: it can be imported but not used."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Missing(f"{self.__name__}.{name}")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise UserError(f"{self.__name__} of TensorFlow 1 is missing: it built a graph, or has no successor")


def _old_names() -> dict[str, Any]:
    """Return TensorFlow 1's names that mean something else here."""
    return {
        "Session": session.Session, "InteractiveSession": session.Session, "get_default_session": session.Session,
        "get_default_graph": session.Graph,
        "set_random_seed": lambda seed: seeding.seed_all(seed, "tf.set_random_seed"),
        **{name: left_out(f"tf.{name}", None, ": eager execution stays on") for name in SWITCHES},
        **{name: left_out(f"tf.{name}", session.Nothing(), ": there is no graph to prepare") for name in PREPARED},
        **{name: _Missing(f"tf.{name}") for name in ("contrib", *GRAPHS)},
    }  # fmt: skip


def _tensorflow(tf: Any) -> None:
    """Give TensorFlow's modules their old names back, for lines of the script."""
    logging.getLogger("tensorflow").setLevel(logging.ERROR)  # its advice is for authors of new scripts
    v1 = tf.compat.v1
    old = _old_names()
    _give(tf, "tf", v1, old)
    for name in _SUBMODULES:
        if hasattr(tf, name) and hasattr(v1, name):
            _give(getattr(tf, name), f"tf.{name}", getattr(v1, name), old if name == "random" else {})
    ops = importlib.import_module("tensorflow.python.framework.ops")
    for name in SWITCHES:
        _for_script(ops, name, old[name])
    _for_script(tf.random, "set_seed", lambda seed: seeding.seed_all(seed, "tf.random.set_seed"))
    _version_1(v1)
    symbols.let_operations_take_symbols(tf)


def _version_1(v1: Any) -> None:
    """Give lines of the script what tf.compat.v1's names mean here; it may also be imported by itself."""
    old = _old_names()
    for name in old.keys() - set(GRAPHS) | {"placeholder", "placeholder_with_default"}:
        _for_script(v1, name, old[name])
    for name in OPTIMIZERS:
        _for_script(v1.train, name, _optimizer(name))
    v1.random.set_random_seed = v1.set_random_seed
    _give(v1, "tf.compat.v1", v1, {"contrib": old["contrib"]})


def _for_script(module: Any, name: str, ours: Any) -> None:
    """Let a function of a module, if it has it, be ours for lines of the script, and the original for all others."""
    original = getattr(module, name, None)
    if original is not None:
        setattr(module, name, lambda *args, **kwargs: (ours if script.is_asking() else original)(*args, **kwargs))


def _give(module: Any, name: str, v1: ModuleType, old: dict[str, Any]) -> None:
    """Let lines of the script find TensorFlow 1's names in a module: ours, or those of tf.compat.v1."""

    def find(attribute: str) -> Any:
        if attribute not in old and hasattr(v1, attribute):
            report.translated(f"{name}.{attribute} -> tf.compat.v1{name[2:]}.{attribute}")
            return getattr(v1, attribute)
        return old.get(attribute)

    let_find(module, find)


def lost_module(name: str) -> ModuleType | None:
    """Return a module that TensorFlow dropped, None for any other."""
    is_old = name == "tensorflow.contrib" or name.startswith(("tensorflow.contrib.", "tensorflow.examples"))
    return _Missing(name) if is_old and script.is_asking(3) else None


LOADED: dict[str, Callable[[ModuleType], None]] = {"tensorflow": _tensorflow, "tensorflow.compat.v1": _version_1}
