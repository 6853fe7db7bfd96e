"""Module paths and names of Keras 1 and 2, under every root: `keras`, `tensorflow.keras`, `tensorflow.compat.v1.keras`.

What classes and functions take is in `arguments`, `optimizers` and `layers`, the backend's functions in `backend`,
files in `saving`.
"""

import importlib
import os
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

from kerasrl.compat import keras_settings
from kerasrl.errors import UserError
from kerasrl.legacy import seeding
from kerasrl.legacy.keras import arguments, backend, layers, optimizers, saving
from kerasrl.legacy.old_names import let_find, refused
from kerasrl.legacy.report import report
from kerasrl.legacy.script import script

# The roots, the longest first; the classes below them are the same objects. A few modules exist only
# in the copy for TensorFlow.
_TODAY = "keras._tf_keras.keras"
ROOTS = (
    "tensorflow.contrib.keras.python.keras", "tensorflow.contrib.keras.api.keras", "tensorflow.contrib.keras",
    "tensorflow.compat.v1.keras", "tensorflow.compat.v2.keras", "tensorflow.keras", _TODAY, "tf_keras", "keras",
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
# Classes and functions that have another name today, or another place in Keras 3.
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
# Dropped without a successor: they can be imported but not used.
DROPPED = (
    "MaxoutDense", "Highway", "LocallyConnected1D", "LocallyConnected2D", "Recurrent", "ConvRecurrent2D",
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


_MISSING = "is missing in Keras 3"


class _Lost(ModuleType):
    """A module that Keras dropped: its names are found in today's public modules, or refused when they are used."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name != "__version__":
            raise AttributeError(name)
        found = _found(within(self.__name__) or "", name)
        if found is not None:
            return found
        lost = f"{self.__name__}.{name}"
        return _Lost(lost) if name[0].islower() else refused(lost, _MISSING)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self.__name__.endswith(".merge"):  # a module, and a function in it that took its place
            return merge(*args, **kwargs)
        raise UserError(f"{self.__name__} {_MISSING}")


def merge(inputs: Any, mode: Any = "sum", concat_axis: int = -1, dot_axes: Any = -1, name: Any = None, **_: Any) -> Any:
    """Merge tensors as Keras 1 did; raises UserError if `mode` is a function of the script's."""
    import keras

    if mode not in MERGE:
        raise UserError(f"merge(mode={mode!r}) is not supported; modes are {', '.join(MERGE)}")
    report.translated(f"merge(mode={mode!r}) -> keras.layers.{MERGE[mode]}")
    axes = {"concat": {"axis": concat_axis}, "dot": {"axes": dot_axes}}.get(mode, {})
    return getattr(keras.layers, MERGE[mode])(inputs, **axes, name=name)


def _merge_layer(layers: Any = None, **kwargs: Any) -> Callable[[Any], Any]:
    if layers is not None:
        raise UserError("Merge([models]) in a Sequential model is missing in Keras 3; use keras.Model(inputs, outputs)")
    return lambda inputs: merge(inputs, **kwargs)


def _time_distributed_dense(output_dim: int, **kwargs: Any) -> Any:
    import keras

    outer = {name: kwargs.pop(name) for name in ("input_shape", "input_dim", "input_length", "name") if name in kwargs}
    return keras.layers.TimeDistributed(keras.layers.Dense(output_dim, **kwargs), **outer)


def _model_from_config(config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> Any:
    import keras

    classes = {"Sequential": keras.Sequential, "Functional": keras.Model, "Model": keras.Model}
    with keras.saving.custom_object_scope(custom_objects):
        return {**classes, **(custom_objects or {})}[config["class_name"]].from_config(config["config"])


_MADE: dict[str, Callable[..., Any]] = {
    "merge": merge, "Merge": _merge_layer, "TimeDistributedDense": _time_distributed_dense,
    "model_from_config": _model_from_config,
}  # fmt: skip


def within(name: str) -> str | None:
    """Return a module's name below its root, without Keras's private folders; None if it is not Keras's."""
    for root in ROOTS:
        if name == root or name.startswith(f"{root}."):
            return ".".join(part for part in name[len(root) + 1 :].split(".") if part and part not in _PRIVATE)
    return None


def public_module(path: str) -> ModuleType | None:
    """Return today's public module of that name, if there is one."""
    for root in ("keras", _TODAY):
        name = f"{root}.{path}".rstrip(".")
        if name in sys.modules:
            return sys.modules[name]
    return None


def home(path: str) -> str:
    """Return the public module that has most of the names of a lost one."""
    first = path.partition(".")[0]
    return HOMES.get(first, first)


def place(path: str, name: str) -> tuple[str, str] | None:
    """Return today's public module and name of what a module of Keras 1 or 2 had; `path` as `within` returns it."""
    if name in RENAMED:
        module, _, today = RENAMED[name].rpartition(".")
        return module, today
    first = home(path)
    for module in (first, *_PUBLIC):
        found = public_module(module)
        if found is not None and vars(found).get(name) is not None:
            return module, name
    if first in _ANY_CASE:
        for today in vars(public_module(first)):
            if today.replace("_", "").lower() == name.replace("_", "").lower():
                return first, today
    return None


def _found(path: str, name: str) -> Any:
    """Return what a module of Keras 1 or 2 had under a name, None if nothing like it exists today."""
    module = f"keras.{path}" if path else "keras"
    if path.partition(".")[0] == "initializations":
        return _initialization(name)
    if name in _MADE:
        return _MADE[name]
    if name in ("ThresholdedReLU", "AlphaDropout"):
        return getattr(importlib.import_module("keras.src.legacy.layers"), name)
    at = place(path, name)
    if at is None:
        return refused(f"{module}.{name}", _MISSING) if name in DROPPED else None
    public, today = at
    full = f"keras.{public}".rstrip(".")
    if (full, today) != (module, name):
        is_whole = (public, today) == (home(path), name)
        report.translated(f"{module} -> {full}" if is_whole else f"{module}.{name} -> {full}.{today}")
    return getattr(public_module(public), today)


def _initialization(name: str) -> Callable[..., Any]:
    """Return Keras 1's initialiser, a function: shape and scale -> values."""

    def initialise(shape: Any, scale: float = 0.05, name_: Any = None, **_: Any) -> Any:
        from keras import initializers

        made = {
            "normal": initializers.RandomNormal(0.0, scale), "uniform": initializers.RandomUniform(-scale, scale),
        }  # fmt: skip
        return initializers.get(made.get(name, name))(shape)

    report.translated(f"keras.initializations.{name} -> keras.initializers")
    return initialise


def _provide(module: ModuleType) -> None:
    """Let lines of the script find a public module's old names, and use today's optimizers as the old ones."""
    path = within(module.__name__) or ""

    def find(name: str) -> Any:
        return _Lost(f"{module.__name__}.{name}") if name in MODULES.get(path, ()) else _found(path, name)

    let_find(module, find)
    if path == "optimizers.legacy":
        today = vars(public_module("optimizers"))
        vars(module).update((name, value) for name, value in today.items() if name in vars(module))
    if path == "backend":
        backend.provide(module)
    if path == "utils" and hasattr(module, "set_random_seed"):
        vars(module)["set_random_seed"] = seeding.noting_seed(vars(module)["set_random_seed"])


def _keras(module: ModuleType) -> None:
    """Translate what all Kerases share, then the modules of `keras` and of its copy for TensorFlow."""
    for part in (saving, arguments, layers, optimizers):
        part.translate()
    seeding.seed_later()
    if not module.Variable.__hash__:  # `set(model.weights)` was how weights were counted
        module.Variable.__hash__ = object.__hash__
    for name, public in list(sys.modules.items()):
        if (name == "keras" or name.startswith("keras.")) and not name.startswith("keras.src"):
            _provide(public)


def choose_tensorflow() -> None:
    """Let Keras run on TensorFlow, whatever backend the script chooses."""
    if backend := keras_settings.choose_tensorflow():
        report.translated(f"KERAS_BACKEND={backend} -> tensorflow")


def leave_keras_2() -> None:
    """Let tensorflow.keras be Keras 3, whatever Keras the script or its shell chooses: tf_keras may be installed."""
    if os.environ.pop("TF_USE_LEGACY_KERAS", "0") in ("1", "true", "True"):
        report.translated("TF_USE_LEGACY_KERAS -> left out: tensorflow.keras is Keras 3")


def lost_module(name: str) -> ModuleType | None:
    """Return a module that Keras dropped, None for any other."""
    path = within(name)
    if path is None or not script.is_asking(3):
        return None
    if script.is_asking_for_a_name(3) or name.rpartition(".")[2][0].isupper():
        return None  # `from keras.layers import Name` also asks for a module
    importlib.import_module("keras")
    if name == "tf_keras":
        report.translated("tf_keras -> keras")
    return (public_module(path) if path else None) or _Lost(name)


LOADED: dict[str, Callable[[ModuleType], None]] = {
    "keras": _keras,
    **{f"tensorflow.keras.{path}".rstrip("."): _provide for path in (*_PUBLIC, "optimizers.legacy", "saving", "ops")},
}
