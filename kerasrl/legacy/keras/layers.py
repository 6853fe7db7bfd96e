"""What Keras 1's and 2's layers and models did and had, beyond the tables in `arguments`."""

import functools
import inspect
from collections.abc import Callable
from typing import Any

from kerasrl.legacy.keras.arguments import ARGUMENTS, Arguments, let_take, translated
from kerasrl.legacy.old_names import refused
from kerasrl.legacy.report import report
from kerasrl.legacy.script import script

# Method of a model -> today's, and the order of its arguments.
METHODS: dict[str, tuple[str, tuple[str, ...]]] = {
    "fit_generator": ("fit", ("x", "steps_per_epoch", "epochs", "verbose", "callbacks", "validation_data")),
    "evaluate_generator": ("evaluate", ("x", "steps")),
    "predict_generator": ("predict", ("x", "steps")),
}
# Losses that have another name today.
LOSSES: dict[str, str] = {
    "logcosh": "log_cosh", "huber_loss": "huber", "cosine_proximity": "cosine_similarity",
    "kullback_leibler_divergence": "kl_divergence",
}  # fmt: skip
# Order of the arguments of Keras 2's `add_weight`, and arguments that it had.
_ADD_WEIGHT = ("name", "shape", "dtype", "initializer", "regularizer", "trainable", "constraint")
_ADD_WEIGHT_DROPPED = ("synchronization", "use_resource", "collections", "getter", "partitioner")


def translate() -> None:
    """Let layers and models be made and used as they were; today's calls work as before."""
    import keras
    from keras.src import losses
    from keras.src.layers.convolutional.base_conv import BaseConv
    from keras.src.models.functional import Functional

    _layer(keras.layers.Layer)
    let_take(keras.layers.Embedding, "__init__", _embedding)
    let_take(keras.layers.InputLayer, "__init__", functools.partial(translated, "InputLayer"))
    let_take(keras.layers.Layer, "add_weight", _add_weight)
    for convolution in (BaseConv, keras.layers.Conv1D):  # which has methods of its own
        _convolution(convolution)
    let_take(Functional, "__init__", functools.partial(translated, "Functional"))
    _model(keras.Model)
    for old, new in LOSSES.items():
        losses.ALL_OBJECTS_DICT.setdefault(old, getattr(keras.losses, new))


class _Shape:
    """Shape of a layer's input or output, unless the layer has an attribute of that name itself."""

    def __init__(self, of: str) -> None:
        self.of = of

    def __get__(self, layer: Any, owner: type | None = None) -> Any:
        if layer is None:
            return self
        tensors = getattr(layer, self.of)
        return [tensor.shape for tensor in tensors] if isinstance(tensors, list | tuple) else tensors.shape


def _layer(layer: Any) -> None:
    """Let every layer take its input's shape, and weights."""
    original = layer.__init__

    @functools.wraps(original)
    def initialise(self: Any, *args: Any, **kwargs: Any) -> None:
        shape, weights = _input_shape(self, kwargs), kwargs.pop("weights", None)
        original(self, *args, **translated("Layer", self, (), kwargs)[1])
        if shape is not None:
            self._input_shape_arg = shape
        if weights is not None:
            _set_when_built(self, weights)

    initialise.__signature__ = inspect.signature(original)  # type: ignore[attr-defined]  # which Keras reads
    layer.__init__ = initialise
    layer.input_shape, layer.output_shape = _Shape("input"), _Shape("output")


def _input_shape(layer: Any, kwargs: dict[str, Any]) -> tuple[Any, ...] | None:
    """Remove a layer's input shape from its arguments; return it without the batch."""
    import keras

    length, size = kwargs.pop("input_length", None), kwargs.pop("input_dim", None)
    shape, batch_shape = kwargs.pop("input_shape", None), kwargs.pop("batch_input_shape", None)
    kwargs.pop("batch_size", None)
    if batch_shape is not None:
        shape = tuple(batch_shape)[1:]
    if shape is not None:
        return tuple(shape) if hasattr(shape, "__iter__") else (shape,)
    if size is not None and (length is not None or isinstance(layer, keras.layers.RNN)):
        return (length, size)
    return (size,) if size is not None else (length,) if length is not None else None


def _set_when_built(layer: Any, weights: Any) -> None:
    """Give a layer its weights once it has variables for them."""
    build = layer.build

    @functools.wraps(build)
    def build_and_set(*args: Any, **kwargs: Any) -> None:
        build(*args, **kwargs)
        layer.set_weights(weights)

    layer.build = build_and_set


def _embedding(self: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Arguments:
    """Embedding was built from its arguments alone."""
    length = kwargs.pop("input_length", None)
    args, kwargs = translated("Embedding", self, args, kwargs)
    if script.is_asking(3) and not {"input_shape", "batch_input_shape"} & set(kwargs):
        kwargs["input_shape"] = tuple(length) if isinstance(length, list | tuple) else (length,)
    return args, kwargs


def _convolution(layer: Any) -> None:
    """Let convolutions take each picture of a window by itself, as TensorFlow's Keras 2 did.

    Inputs have the shape (batch, window, height, width, channels), or one dimension more or less.
    """
    if "call" in vars(layer):
        layer.call = _on_each(layer.call)
    if "compute_output_shape" in vars(layer):
        layer.compute_output_shape = _on_each_shape(layer.compute_output_shape)


def _window(layer: Any, shape: Any) -> tuple[Any, ...]:
    """Return the dimensions of a convolution's input between the batch and the pictures."""
    return tuple(shape[1 : -1 - layer.rank]) if layer.data_format == "channels_last" else ()


def _on_each(call: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    @functools.wraps(call)
    def call_each(self: Any, inputs: Any) -> Any:
        import keras

        window = _window(self, inputs.shape)
        if not window:
            return call(self, inputs)
        outputs = call(self, keras.ops.reshape(inputs, (-1, *inputs.shape[-1 - self.rank :])))
        return keras.ops.reshape(outputs, (-1, *window, *outputs.shape[1:]))

    return call_each


def _on_each_shape(compute_output_shape: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    @functools.wraps(compute_output_shape)
    def compute_each(self: Any, input_shape: Any) -> Any:
        window = _window(self, input_shape)
        if not window:
            return compute_output_shape(self, input_shape)
        shape = compute_output_shape(self, (input_shape[0], *input_shape[-1 - self.rank :]))
        return (shape[0], *window, *shape[1:])

    return compute_each


def _add_weight(self: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Arguments:
    """`add_weight` took the name first."""
    if args and isinstance(args[0], str):
        kwargs = {**dict(zip(_ADD_WEIGHT, args, strict=False)), **kwargs}
        args = ()
    return args, {name: value for name, value in kwargs.items() if name not in _ADD_WEIGHT_DROPPED}


def _model(model: Any) -> None:
    """Give models the methods and arguments of their time."""
    make = model.__new__

    def new(cls: type, *args: Any, **kwargs: Any) -> Any:  # Model(input=..., output=...), noted by __init__
        return make(cls, *args, **{ARGUMENTS["Functional"].get(name, name): value for name, value in kwargs.items()})

    model.__new__ = staticmethod(new)
    fit, compile_ = functools.partial(translated, "fit"), functools.partial(translated, "compile")
    for name, change in (("fit", fit), ("compile", compile_), ("predict", _silently)):
        # In the class that defines it: Keras treats a model's own `compile` differently.
        let_take(next(owner for owner in model.__mro__ if name in vars(owner)), name, change)
    for old, (today, names) in METHODS.items():
        setattr(model, old, _generating(old, today, names))
    model.predict_classes = _predict_classes
    model.predict_proba = lambda self, x, batch_size=None, verbose=0: self.predict(x, batch_size, verbose=verbose)
    model.reset_states = _reset_states
    model.to_yaml = refused("Model.to_yaml", "is missing in Keras 3: YAML could run code when it was read; use to_json")


def _silently(self: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Arguments:
    """`predict` showed progress only when asked to."""
    if len(args) < 3 and script.is_asking(3):
        kwargs.setdefault("verbose", 0)
    return args, kwargs


def _generating(old: str, today: str, names: tuple[str, ...]) -> Callable[..., Any]:
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        report.translated(f"{old} -> {today}")
        kwargs.update(zip(names, args, strict=False))
        kwargs["x"] = kwargs.pop("generator", kwargs.get("x"))
        kwargs.setdefault("verbose", 0 if today == "predict" else 1)
        if today == "fit" and not hasattr(kwargs["x"], "__getitem__"):
            kwargs["shuffle"] = False  # its order is the only one
        return getattr(self, today)(**translated("fit", self, (), kwargs)[1])

    return method


def _predict_classes(self: Any, x: Any, batch_size: int | None = None, verbose: Any = 0) -> Any:
    report.translated("predict_classes -> argmax of predict")
    values = self.predict(x, batch_size, verbose=verbose)
    return values.argmax(axis=-1) if values.shape[-1] > 1 else (values > 0.5).astype("int32")


def _reset_states(self: Any) -> None:
    for layer in self.layers:
        getattr(layer, "reset_states", getattr(layer, "reset_state", lambda: None))()
