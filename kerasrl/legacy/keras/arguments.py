"""What Keras 1's and 2's classes and methods took, in tables: arguments that were renamed, dropped or changed."""

import functools
import inspect
from collections.abc import Callable
from typing import Any

from kerasrl.legacy.report import report
from kerasrl.legacy.script import script

_KERNEL = {
    "init": "kernel_initializer", "bias": "use_bias", "W_regularizer": "kernel_regularizer",
    "b_regularizer": "bias_regularizer", "W_constraint": "kernel_constraint", "b_constraint": "bias_constraint",
}  # fmt: skip
_WINDOW = {"border_mode": "padding", "dim_ordering": "data_format"}
_CONVOLUTION = {**_KERNEL, **_WINDOW, "nb_filter": "filters", "subsample": "strides", "atrous_rate": "dilation_rate"}
_POOLING = {**_WINDOW, "pool_length": "pool_size", "stride": "strides"}
_RECURRENT = {
    **_KERNEL, "output_dim": "units", "inner_init": "recurrent_initializer", "U_regularizer": "recurrent_regularizer",
    "inner_activation": "recurrent_activation", "dropout_W": "dropout", "dropout_U": "recurrent_dropout",
}  # fmt: skip
# Class -> old argument -> today's. Those of `Layer` hold for all layers.
ARGUMENTS: dict[str, dict[str, str]] = {
    "Layer": {"input_dtype": "dtype"},
    "InputLayer": {"input_shape": "shape", "batch_input_shape": "batch_shape", "input_dtype": "dtype"},
    "Dense": {**_KERNEL, "output_dim": "units"},
    "Dropout": {"p": "rate"}, "SpatialDropout1D": {"p": "rate"}, "SpatialDropout2D": {"p": "rate", **_WINDOW},
    "GaussianDropout": {"p": "rate"}, "GaussianNoise": {"sigma": "stddev"}, "AlphaDropout": {"p": "rate"},
    "Conv1D": {**_CONVOLUTION, "filter_length": "kernel_size", "subsample_length": "strides"},
    "Conv2D": _CONVOLUTION, "Conv3D": _CONVOLUTION, "Conv2DTranspose": _CONVOLUTION, "SeparableConv2D": _CONVOLUTION,
    "DepthwiseConv2D": {**_CONVOLUTION, "kernel_initializer": "depthwise_initializer"},
    "MaxPooling1D": _POOLING, "MaxPooling2D": _POOLING, "MaxPooling3D": _POOLING,
    "AveragePooling1D": _POOLING, "AveragePooling2D": _POOLING, "AveragePooling3D": _POOLING,
    "GlobalMaxPooling2D": _WINDOW, "GlobalAveragePooling2D": _WINDOW, "ZeroPadding2D": _WINDOW, "Cropping2D": _WINDOW,
    "UpSampling1D": {"length": "size"}, "UpSampling2D": _WINDOW, "Flatten": _WINDOW,
    "LSTM": _RECURRENT, "GRU": _RECURRENT, "SimpleRNN": _RECURRENT, "ConvLSTM2D": {**_CONVOLUTION, **_RECURRENT},
    "Embedding": {
        "init": "embeddings_initializer", "W_regularizer": "embeddings_regularizer",
        "W_constraint": "embeddings_constraint",
    },
    "BatchNormalization": {"beta_init": "beta_initializer", "gamma_init": "gamma_initializer"},
    "LeakyReLU": {"alpha": "negative_slope"}, "PReLU": {"init": "alpha_initializer"},
    "ReduceLROnPlateau": {"epsilon": "min_delta"}, "RepeatVector": {}, "Reshape": {"dims": "target_shape"},
    "Functional": {"input": "inputs", "output": "outputs"},
    "fit": {"nb_epoch": "epochs", "samples_per_epoch": "steps_per_epoch", "nb_val_samples": "validation_steps"},
}  # fmt: skip
# Class -> arguments that no longer mean anything.
DROPPED: dict[str, tuple[str, ...]] = {
    "LSTM": ("consume_less", "implementation", "forget_bias_init", "time_major"),
    "GRU": ("consume_less", "implementation", "time_major"),
    "SimpleRNN": ("consume_less", "implementation"),
    "Embedding": ("dropout",),
    "BatchNormalization": ("mode", "fused", "virtual_batch_size"),
    "Layer": ("dynamic", "implementation", "experimental_autocast"),
    "TensorBoard": ("batch_size", "write_grads", "embeddings_layer_names", "embeddings_data"),
    "ModelCheckpoint": ("period", "options"),
    "fit": (
        "show_accuracy", "max_q_size", "max_queue_size", "nb_worker", "workers", "pickle_safe", "use_multiprocessing",
    ),
    "compile": ("class_mode", "sample_weight_mode", "target_tensors"),
}  # fmt: skip
# Argument -> old value -> today's.
VALUES: dict[str, dict[Any, Any]] = {
    "data_format": {"th": "channels_first", "tf": "channels_last", "default": None},
}
# Class -> default of pool_size, which it lost.
POOL_SIZES: dict[str, Any] = {"AveragePooling1D": 2, "AveragePooling2D": (2, 2), "AveragePooling3D": (2, 2, 2)}
# How many numbers at the start of a convolution's arguments were its kernel in Keras 1, and what they were called.
KERNELS: dict[str, tuple[str, ...]] = {
    "Conv2D": ("nb_row", "nb_col"), "Conv2DTranspose": ("nb_row", "nb_col"), "SeparableConv2D": ("nb_row", "nb_col"),
    "Conv3D": ("kernel_dim1", "kernel_dim2", "kernel_dim3"),
}  # fmt: skip
# What could follow a convolution's kernel by position in Keras 1.
AFTER_KERNEL = ("init", "activation", "weights", "border_mode")
# Arguments that Keras 2 made integers.
WHOLE = {"units", "filters", "n", "input_dim", "output_dim", "epochs"}
# Classes that need more than their tables; `layers` translates them.
_ELSEWHERE = {"Layer", "InputLayer", "Embedding"}
Arguments = tuple[tuple[Any, ...], dict[str, Any]]


def translated(kind: str, self: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Arguments:
    """Translate the arguments of a class or method by the tables, and note what was translated."""
    args = tuple(plain_number(value) for value in args)
    if kind in KERNELS:
        args, kwargs = _kernel(kind, args, kwargs)
    result: dict[str, Any] = {}
    table = ARGUMENTS.get(kind, {})
    for name, value in kwargs.items():
        value = plain_number(value)
        if name in DROPPED.get(kind, ()):
            report.translated(f"{kind}({name}=...) -> left out")
            continue
        today = table.get(name, name)
        if today != name:
            report.translated(f"{kind}({name}={short(value)}) -> {today}")
        if name == "init" and inspect.isfunction(value):
            value = _initializer(value)
        if today in VALUES and isinstance(value, str):
            value = VALUES[today].get(value, value)
        if today in WHOLE and isinstance(value, float) and value.is_integer():
            value = int(value)
        result[today] = value
    if kind in POOL_SIZES and not args:
        result.setdefault("pool_size", POOL_SIZES[kind])
    if args and kind in ("Dense", "LSTM", "GRU", "Conv2D") and isinstance(args[0], float) and args[0].is_integer():
        args = (int(args[0]), *args[1:])
    return args, result


def plain_number(value: Any) -> Any:
    """Return NumPy's numbers as Python's, even in tuples and lists."""
    import numpy as np  # here, so that nothing is imported before the script does it

    if isinstance(value, np.integer | np.floating | np.bool_):
        return value.item()
    if type(value) in (tuple, list) and any(isinstance(part, np.integer) for part in value):
        return type(value)(plain_number(part) for part in value)
    return value


def short(value: Any) -> str:
    """Return a value as a note shows it."""
    text = repr(value)
    return text if len(text) <= 30 else "..."


def _initializer(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return Keras 1's initialiser, a function of shape and name, as one of shape and type."""

    def initialise(shape: Any, dtype: Any = None) -> Any:
        names = inspect.signature(function).parameters
        return function(shape, **{name: None for name in ("name", "dim_ordering") if name in names})

    return initialise


def _kernel(kind: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Arguments:
    """Translate Convolution2D(32, 8, 8) and nb_row=, nb_col= into a kernel's size."""
    names = KERNELS[kind]
    count = 1 + len(names)
    is_old = script.is_for_plain_keras() or any(name in _CONVOLUTION for name in kwargs)
    if is_old and len(args) >= count and all(isinstance(value, int) for value in args[:count]):
        report.translated(f"{kind}{args[:count]} -> kernel_size={args[1:count]}".replace("'", ""))
        kwargs = {**dict(zip(AFTER_KERNEL, args[count:], strict=False)), **kwargs}
        return (args[0], args[1:count]), kwargs
    if any(name in kwargs for name in names):
        size = (*args[1:], *(kwargs[name] for name in names if name in kwargs))
        report.translated(f"{kind}({', '.join(f'{name}=' for name in names)}) -> kernel_size={size}")
        return args[:1], {**{name: v for name, v in kwargs.items() if name not in names}, "kernel_size": size}
    return args, kwargs


def let_take(owner: Any, name: str, change: Callable[[Any, tuple[Any, ...], dict[str, Any]], Arguments]) -> None:
    """Let a class's method take old arguments too; `change` returns today's for (self, args, kwargs)."""
    original = getattr(owner, name)

    @functools.wraps(original)
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        args, kwargs = change(self, args, kwargs)
        return original(self, *args, **kwargs)

    call.__signature__ = inspect.signature(original)  # type: ignore[attr-defined]  # which Keras reads
    setattr(owner, name, call)


class _Renamed:
    """An attribute under its old name, such as Dropout's `p`, unless an object has one of that name itself."""

    def __init__(self, today: str) -> None:
        self.today = today

    def __get__(self, layer: Any, owner: type | None = None) -> Any:
        return self if layer is None else getattr(layer, self.today)


def translate() -> None:
    """Let Keras's classes take the arguments of their time; today's calls work as before."""
    import keras

    classes = {**vars(keras.layers), **vars(keras.callbacks)}
    for kind in {*ARGUMENTS, *DROPPED} & set(classes) - _ELSEWHERE:
        let_take(classes[kind], "__init__", functools.partial(translated, kind))
        for old, today in ARGUMENTS.get(kind, {}).items():
            if old != "bias" and not hasattr(classes[kind], old):  # a layer's bias is its weights
                setattr(classes[kind], old, _Renamed(today))
    keras.layers.Dropout._get_noise_shape = lambda self, inputs=None: self.noise_shape
