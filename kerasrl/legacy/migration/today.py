"""What Keras has today, asked only where a name has to be looked up, since importing it takes seconds."""

import functools
import importlib
import inspect
from types import ModuleType
from typing import Any

from kerasrl.legacy import keras, keras_rl

_PRIVATE_COPY = "tensorflow.python.keras"


def rl(module: str) -> str:
    """Return a module of Keras-RL by its own name, if it is one under another."""
    root, dot, rest = module.partition(".")
    return f"rl{dot}{rest}" if root in keras_rl.PACKAGES else module


def path(module: str) -> str | None:
    """Return a module's name within Keras, '' for Keras itself; None if it is not Keras's."""
    if f"{module}.".startswith(f"{_PRIVATE_COPY}."):
        module = module.replace(_PRIVATE_COPY, "tensorflow.keras", 1)
    return keras.within(module)


def public(path: str) -> ModuleType | None:
    """Return today's public module, None if there is none of that name."""
    _import()
    return keras.public_module(path)


def is_module(path: str) -> bool:
    """Return whether there is a public module of that name within Keras."""
    return public(path) is not None


def is_lost_module(path: str, name: str) -> bool:
    """Return whether a module of Keras had a module that is gone."""
    return name in keras.MODULES.get(path, ()) and public(f"{path}.{name}".strip(".")) is None


def place(path: str, name: str) -> tuple[str, str] | None:
    """Return the public module and the name of what a module of Keras 1 or 2 had; None if it is gone."""
    _import()
    return keras.place(path, name)


def home(path: str) -> str:
    """Return the public module where a lost one's names are for the most part."""
    first = path.partition(".")[0]
    return keras.HOMES.get(first, first)


def exists(module: str, name: str) -> bool:
    """Return whether a module of Keras or Keras-RL has a name."""
    within = path(module)
    if within is not None:
        return place(within, name) is not None
    return module.startswith("rl.") and hasattr(importlib.import_module(module), name)


def kind(full: str | None) -> str | None:
    """Return the name of the class that a name of Keras stands for: Conv2D for keras.layers.Convolution2D."""
    if full is None or "." not in full:
        return None
    module, _, name = full.rpartition(".")
    within = path(module)
    found = place(within, name) if within is not None else None
    if found is None or not found[1][:1].isupper():
        return None
    value = getattr(public(found[0]), found[1], None)
    return "Functional" if name == "Model" else getattr(value, "__name__", None)


@functools.cache
def is_layer(kind: str) -> bool:
    """Return whether a class is a layer."""
    layer: Any = getattr(public("layers"), "Layer", None)
    found = getattr(public("layers"), kind, None)
    return inspect.isclass(found) and issubclass(found, layer)


def learning_rate(optimizer: str) -> Any:
    """Return an optimizer's learning rate by default."""
    return inspect.signature(getattr(public("optimizers"), optimizer)).parameters["learning_rate"].default


def is_in_backend(name: str) -> bool:
    """Return whether plain Keras's backend has a function."""
    _import()
    return hasattr(importlib.import_module("keras.backend"), name)


def is_in_tensorflows_backend(name: str) -> bool:
    """Return whether the backend of TensorFlow's Keras has a function."""
    return hasattr(public("backend"), name)


def is_in_tensorflow(path: str) -> bool:
    """Return whether TensorFlow has a name, such as 'random.set_seed'."""
    _import()
    found: Any = importlib.import_module("tensorflow")
    for name in path.split("."):
        found = getattr(found, name, None)
    return found is not None


@functools.cache
def _import() -> None:
    importlib.import_module("kerasrl.compat.keras_rl")  # quietly
    importlib.import_module("keras._tf_keras.keras")
