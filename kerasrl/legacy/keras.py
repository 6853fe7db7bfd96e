"""Module paths and names of Keras 1 and 2, under every root: `keras`, `tensorflow.keras`, `tensorflow.compat.v1.keras`.

What classes and functions take is in `keras_arguments`, the backend's functions in `keras_backend`, files in
`keras_saving`.
"""

import importlib
import os
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

from kerasrl.errors import UserError
from kerasrl.legacy import keras_arguments, keras_backend, keras_layers, keras_saving, tensorflow
from kerasrl.legacy.notes import notes

# The roots, the longest first; the classes below them are the same objects. A few modules are only in the copy for
# TensorFlow.
_TODAY = "keras._tf_keras.keras"
ROOTS = (
    "tensorflow.contrib.keras.python.keras", "tensorflow.contrib.keras.api.keras", "tensorflow.contrib.keras",
    "tensorflow.compat.v1.keras", "tensorflow.compat.v2.keras", "tensorflow.keras", _TODAY, "keras",
)  # fmt: skip
# Folders of Keras's own that say nothing about what was in them.
_PRIVATE = {"src", "api", "_v1", "_v2", "v1", "v2", "keras", "python"}
# First folder of a lost module -> the public module where what it held is now.
HOMES: dict[str, str] = {
    "initializations": "initializers", "objectives": "losses", "optimizer_v1": "optimizers",
    "optimizer_v2": "optimizers", "optimizer_experimental": "optimizers", "engine": "layers", "legacy": "layers",
    "layers_v1": "layers", "saving": "models", "wrappers": "layers",
}  # fmt: skip
# Modules that were reached as attributes, such as `keras.layers.core.Dense`.
MODULES: dict[str, tuple[str, ...]] = {
    "": ("engine", "legacy", "objectives", "initializations", "optimizer_v1", "optimizer_v2"),
    "layers": (
        "core", "convolutional", "convolutional_recurrent", "pooling", "recurrent", "recurrent_v2", "embeddings",
        "normalization", "advanced_activations", "noise", "local", "wrappers", "cudnn_recurrent", "containers",
    ),
    "models": ("sequential", "model"),
    "optimizers": (
        "adam_v2", "adadelta_v2", "adagrad_v2", "adamax_v2", "ftrl", "gradient_descent_v2", "nadam_v2", "rmsprop_v2",
        "adam_experimental", "optimizer_v1", "optimizer_v2", "optimizer_experimental", "experimental",
        "learning_rate_schedule",
    ),
    "utils": (
        "np_utils", "generic_utils", "vis_utils", "visualize_util", "layer_utils", "data_utils", "io_utils",
        "conv_utils", "test_utils", "multi_gpu_utils", "training_utils", "all_utils", "tf_utils", "losses_utils",
    ),
    "backend": ("tensorflow_backend", "common"),
    "callbacks": ("callbacks", "tensorboard_v1", "tensorboard_v2"),
    "legacy": ("interfaces", "layers", "models"),
}  # fmt: skip
# Names of classes and functions that have another one today, or that Keras 3 keeps elsewhere.
RENAMED: dict[str, str] = {
    "CuDNNLSTM": "layers.LSTM", "CuDNNGRU": "layers.GRU", "Deconvolution2D": "layers.Conv2DTranspose",
    "Deconvolution3D": "layers.Conv3DTranspose", "AtrousConvolution1D": "layers.Conv1D",
    "AtrousConvolution2D": "layers.Conv2D", "AtrousConv1D": "layers.Conv1D", "AtrousConv2D": "layers.Conv2D",
    "BatchNormalizationV1": "layers.BatchNormalization", "BatchNormalizationV2": "layers.BatchNormalization",
    "Container": "models.Model", "Network": "models.Model", "Graph": "models.Model", "Functional": "models.Model",
    "plot": "utils.plot_model", "mse": "losses.mean_squared_error", "MSE": "losses.mean_squared_error",
    "mae": "losses.mean_absolute_error", "MAE": "losses.mean_absolute_error",
    "mape": "losses.mean_absolute_percentage_error", "msle": "losses.mean_squared_logarithmic_error",
    "logcosh": "losses.log_cosh", "huber_loss": "losses.huber", "cosine_proximity": "losses.cosine_similarity",
    "kld": "losses.kl_divergence", "kullback_leibler_divergence": "losses.kl_divergence",
    "K": "backend",
}  # fmt: skip
# Dropped without a successor: importable, refused when used.
DROPPED = (
    "Merge", "MaxoutDense", "Highway", "LocallyConnected1D", "LocallyConnected2D", "Recurrent", "ConvRecurrent2D",
    "model_from_yaml", "multi_gpu_model", "RandomFourierFeatures", "HDF5Matrix", "WeightRegularizer",
    "ActivityRegularizer", "convert_kernel",
)  # fmt: skip
# `merge(inputs, mode=...)` of Keras 1 -> the function that does it.
MERGE: dict[str, str] = {
    "sum": "add", "mul": "multiply", "concat": "concatenate", "ave": "average", "max": "maximum", "dot": "dot",
}  # fmt: skip
# Public modules in which a name of a lost module is looked for, after the one that its path names.
_PUBLIC = (
    "layers", "models", "", "optimizers", "optimizers.schedules", "callbacks", "utils", "initializers", "regularizers",
    "constraints", "losses", "metrics", "activations", "backend", "preprocessing.image", "preprocessing.sequence",
    "preprocessing.text", "datasets", "applications",
)  # fmt: skip
# Public modules whose names were also written in lower case, or without underscores: `optimizers.adam`, `maxnorm`.
_ANY_CASE = ("optimizers", "initializers", "constraints", "regularizers", "losses", "metrics", "activations")


class _Lost(ModuleType):
    """A module that Keras dropped; what it held is found in today's public modules.

    What is not found there is refused when it is used, not when it is imported.
    """

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        found = _found(within(self.__name__) or "", name)
        if found is not None:
            return found
        lost = f"{self.__name__}.{name}"
        return _Lost(lost) if name[0].islower() else refused(lost)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self.__name__.endswith(".merge"):  # a module, and a function in it that took its place
            return merge(*args, **kwargs)
        raise UserError(f"{self.__name__} is missing in Keras 3")


class _Refused(type):
    """Class of a name that is lost: it can be imported and derived from, but not used."""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        raise UserError(f"{cls.__doc__} is missing in Keras 3")

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise UserError(f"{cls.__doc__} is missing in Keras 3")


def refused(name: str) -> Any:
    """Return what can be imported under a lost name, and says in one line that it is missing when it is used."""
    return _Refused(name.rpartition(".")[2], (), {"__doc__": name})


def merge(inputs: Any, mode: Any = "sum", concat_axis: int = -1, dot_axes: Any = -1, name: Any = None, **_: Any) -> Any:
    """Merge tensors as Keras 1 did.

    Raises:
        UserError: `mode` is a function of its own.
    """
    import keras

    if mode not in MERGE:
        raise UserError(f"merge(mode={mode!r}) is missing; modes are {', '.join(MERGE)}")
    notes.translated(f"merge(mode={mode!r}) -> keras.layers.{MERGE[mode]}")
    axes = {"concat": {"axis": concat_axis}, "dot": {"axes": dot_axes}}.get(mode, {})
    return getattr(keras.layers, MERGE[mode])(inputs, **axes, name=name)


def time_distributed_dense(output_dim: int, **kwargs: Any) -> Any:
    """Return what Keras 1's TimeDistributedDense was."""
    import keras

    outer = {name: kwargs.pop(name) for name in ("input_shape", "input_dim", "input_length", "name") if name in kwargs}
    return keras.layers.TimeDistributed(keras.layers.Dense(output_dim, **kwargs), **outer)


def model_from_config(config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> Any:
    """Rebuild a model from {'class_name': ..., 'config': ...}."""
    import keras

    classes = {"Sequential": keras.Sequential, "Functional": keras.Model, "Model": keras.Model}
    with keras.saving.custom_object_scope(custom_objects):
        return {**classes, **(custom_objects or {})}[config["class_name"]].from_config(config["config"])


_MADE: dict[str, Callable[..., Any]] = {
    "merge": merge, "TimeDistributedDense": time_distributed_dense, "model_from_config": model_from_config,
}  # fmt: skip


def within(name: str) -> str | None:
    """Return a module's name below its root, without folders of Keras's own; None if it is not Keras's."""
    for root in ROOTS:
        if name == root or name.startswith(f"{root}."):
            return ".".join(part for part in name[len(root) + 1 :].split(".") if part and part not in _PRIVATE)
    return None


def public_module(path: str) -> ModuleType | None:
    """Return today's public module, None if there is none of that name."""
    for root in ("keras", _TODAY):
        name = f"{root}.{path}".rstrip(".")
        if name in sys.modules:
            return sys.modules[name]
    return None


def place(path: str, name: str) -> tuple[str, str] | None:
    """Return the public module, and the name in it, of what a module of Keras 1 or 2 had.

    Args:
        path: The module below its root, as `within` returns it.
        name: What it had.

    Returns:
        None if nothing has that name today.
    """
    if name in RENAMED:
        home, _, today = RENAMED[name].rpartition(".")
        return home, today
    head = path.partition(".")[0]
    first = HOMES.get(head, head)
    for home in (first, *_PUBLIC):
        found = public_module(home)
        if found is not None and vars(found).get(name) is not None:
            return home, name
    if first in _ANY_CASE:
        for today in vars(public_module(first)):
            if today.replace("_", "").lower() == name.replace("_", "").lower():
                return first, today
    return None


def _found(path: str, name: str) -> Any:
    """Return what a module of Keras 1 or 2 had under a name, None if there is nothing like it today."""
    module = f"keras.{path}" if path else "keras"
    head = path.partition(".")[0]
    first = HOMES.get(head, head)
    if head == "initializations":
        return _initialization(name)
    if name in _MADE:
        return _MADE[name]
    if name in ("ThresholdedReLU", "AlphaDropout"):
        return getattr(importlib.import_module("keras.src.legacy.layers"), name)
    at = place(path, name)
    if at is not None:
        home, today = at
        if f"keras.{home}".rstrip(".") != module or today != name:
            old, new = (f".{name}", f".{today}") if home != first or today != name else ("", "")
            notes.translated(f"{module}{old} -> {f'keras.{home}'.rstrip('.')}{new}")
        return getattr(public_module(home), today)
    return refused(f"{module}.{name}") if name in DROPPED else None


def _initialization(name: str) -> Callable[..., Any]:
    """Return Keras 1's function of an initialiser: shape and scale -> values."""

    def initialise(shape: Any, scale: float = 0.05, name_: Any = None, **_: Any) -> Any:
        import keras

        made = {
            "normal": keras.initializers.RandomNormal(0.0, scale),
            "uniform": keras.initializers.RandomUniform(-scale, scale),
        }
        return keras.initializers.get(made.get(name, name))(shape)

    notes.translated(f"keras.initializations.{name} -> keras.initializers")
    return initialise


def _provide(module: ModuleType) -> None:
    """Let lines of the script find the old names of a public module, and use today's optimizers as the old ones."""
    path = within(module.__name__) or ""
    before = getattr(module, "__getattr__", None)

    def found(name: str) -> Any:
        if not name.startswith("__") and notes.is_asked_by_script():
            if name in MODULES.get(path, ()):
                return _Lost(f"{module.__name__}.{name}")
            value = _found(path, name)
            if value is not None:
                return value
        if before is not None:
            return before(name)
        raise AttributeError(f"module {module.__name__!r} has no attribute {name!r}")

    module.__getattr__ = found  # type: ignore[method-assign]
    if path == "optimizers.legacy":
        vars(module).update(
            (name, value) for name, value in vars(public_module("optimizers")).items() if name in vars(module)
        )
    if path == "backend":
        keras_backend.provide(module)
    if path == "utils" and hasattr(module, "set_random_seed"):
        vars(module)["set_random_seed"] = tensorflow.noting_seed(vars(module)["set_random_seed"])


def _keras(module: ModuleType) -> None:
    """Translate what all Kerases share, then the modules of `keras` and of its copy for TensorFlow."""
    keras_saving.translate()
    keras_arguments.translate()
    keras_layers.translate()
    tensorflow.seed_later()
    if not module.Variable.__hash__:  # `set(model.weights)` was how weights were counted
        module.Variable.__hash__ = object.__hash__
    for name, public in list(sys.modules.items()):
        if (name == "keras" or name.startswith("keras.")) and not name.startswith("keras.src"):
            _provide(public)


def _choose_tensorflow() -> None:
    """Keras has TensorFlow under it here, whatever was under it then."""
    backend = os.environ.get("KERAS_BACKEND", "").lower()
    if backend in ("theano", "cntk"):
        notes.translated(f"KERAS_BACKEND={backend} -> tensorflow")
        os.environ["KERAS_BACKEND"] = "tensorflow"


def lost_module(name: str) -> ModuleType | None:
    """Return a module that Keras dropped, None if it is not one of them."""
    path = within(name)
    if path is None or not notes.is_asked_by_script(3):
        return None
    if notes.is_attribute(3) or name.rpartition(".")[2][0].isupper():
        return None  # `from keras.layers import Name` asks for a module, too
    importlib.import_module("keras")
    return (public_module(path) if path else None) or _Lost(name)


BEFORE: dict[str, Callable[[], None]] = {"keras": _choose_tensorflow}
AROUND: dict[str, Callable[[], Any]] = {"keras": tensorflow.undrawn}
LOADED: dict[str, Callable[[ModuleType], None]] = {
    "keras": _keras,
    **{f"tensorflow.keras.{path}".rstrip("."): _provide for path in (*_PUBLIC, "optimizers.legacy", "saving", "ops")},
}
