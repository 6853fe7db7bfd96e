"""What Keras 3 has; it is only imported where a name has to be looked up, since that takes seconds."""

import functools
import importlib
import inspect
from types import ModuleType
from typing import Any

from kerasrl.legacy.keras import names

_PRIVATE_COPY = "tensorflow.python.keras"


def path(module: str) -> str | None:
    """Return a module's name within Keras, '' for Keras itself; None if it is not Keras's."""
    if f"{module}.".startswith(f"{_PRIVATE_COPY}."):
        module = module.replace(_PRIVATE_COPY, "tensorflow.keras", 1)
    return names.within(module)


def public(path: str) -> ModuleType | None:
    """Return today's public module of that name, if there is one."""
    _import()
    return names.public_module(path)


def is_lost_module(path: str, name: str) -> bool:
    """Return whether a module of Keras had a module of that name that is gone."""
    return name in names.MODULES.get(path, ()) and public(f"{path}.{name}".strip(".")) is None


def place(path: str, name: str) -> tuple[str, str] | None:
    """Return the public module and the name of what a module of Keras 1 or 2 had; None if it is gone."""
    _import()
    return names.place(path, name)


def exists(module: str, name: str) -> bool:
    """Return whether a module of Keras or Keras-RL has a name."""
    within = path(module)
    if within is not None:
        return place(within, name) is not None
    return module.startswith("rl.") and hasattr(importlib.import_module(module), name)


def class_name(full: str | None) -> str | None:
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
    layers: Any = public("layers")
    found = getattr(layers, kind, None)
    return inspect.isclass(found) and issubclass(found, layers.Layer)


def learning_rate(optimizer: str) -> Any:
    """Return an optimizer's default learning rate."""
    return inspect.signature(getattr(public("optimizers"), optimizer)).parameters["learning_rate"].default


def is_only_in_tensorflows_backend(name: str) -> bool:
    """Return whether the backend of TensorFlow's Keras has a function that plain Keras's does not have."""
    return hasattr(public("backend"), name) and not hasattr(importlib.import_module("keras.backend"), name)


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
