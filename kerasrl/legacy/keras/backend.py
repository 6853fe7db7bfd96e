"""Functions of `keras.backend` as they were in Keras 1 and 2."""

import contextlib
import functools
import importlib
import inspect
from collections.abc import Callable
from types import ModuleType
from typing import Any

from kerasrl.errors import UserError
from kerasrl.legacy.old_names import left_out, refused
from kerasrl.legacy.report import report
from kerasrl.legacy.tensorflow.session import Session
from kerasrl.legacy.tensorflow.symbols import as_layer

# Functions that configured what Keras 3 decides by itself -> what they return.
SETTINGS: dict[str, Any] = {
    "set_session": None, "set_learning_phase": None, "manual_variable_initialization": None, "learning_phase": 0,
    "_get_available_gpus": (), "track_variable": None, "reset_uids": None, "set_image_dim_ordering": None,
    "get_graph": None, "_initialize_variables": None, "disable_tf_random_generator": None,
}  # fmt: skip
ORDERINGS = {"th": "channels_first", "tf": "channels_last"}
DROPPED = ("gradients", "cntk", "theano", "ctc_label_dense_to_sparse")


def provide(backend: ModuleType) -> None:
    """Give a module the backend functions of Keras 1 and 2."""
    legacy = importlib.import_module("keras.src.legacy.backend")
    names = vars(backend)
    for name, function in vars(legacy).items():
        if inspect.isfunction(function) and function.__module__ == legacy.__name__:
            names[name] = _also_symbolic(function)
    names.update({name: left_out(f"K.{name}", value) for name, value in SETTINGS.items()})
    names.update(
        image_dim_ordering=_image_dim_ordering, set_image_dim_ordering=_set_image_dim_ordering, get_value=_get_value,
        set_value=_set_value, batch_set_value=_batch_set_value,
        batch_get_value=lambda tensors: [_get_value(tensor) for tensor in tensors], eval=_get_value,
        get_session=Session, function=_function, in_train_phase=_in_train_phase,
        in_test_phase=lambda x, alt, training=None: _in_train_phase(alt, x, training), placeholder=_placeholder,
        learning_phase_scope=lambda value: contextlib.nullcontext(), _BACKEND="tensorflow",
        gradients=refused("K.gradients", "needs a TensorFlow 1 graph, which is missing; use tf.GradientTape"),
        int_shape=lambda x: tuple(x.shape), dtype=lambda x: getattr(x.dtype, "name", x.dtype),
        batch_dot=_also_symbolic(legacy.batch_dot), print_tensor=lambda x, message="": x,
    )  # fmt: skip
    names["tf"] = importlib.import_module("tensorflow")


def _also_symbolic(function: Callable[..., Any]) -> Callable[..., Any]:
    """Let a function take a model's symbolic tensors, and become a layer of it."""
    return functools.wraps(function)(lambda *args, **kwargs: as_layer(function, args, kwargs))


def _image_dim_ordering() -> str:
    import keras

    report.translated("K.image_dim_ordering() -> image_data_format()")
    return {"channels_first": "th"}.get(keras.config.image_data_format(), "tf")


def _set_image_dim_ordering(dim_ordering: str) -> None:
    import keras

    report.translated(f"K.set_image_dim_ordering({dim_ordering!r}) -> set_image_data_format")
    keras.config.set_image_data_format(ORDERINGS.get(dim_ordering, dim_ordering))


def _get_value(x: Any) -> Any:
    import numpy as np  # here, as below, so that nothing is imported before the script does it

    return np.asarray(x)[()]


def _set_value(x: Any, value: Any) -> None:
    import numpy as np

    x.assign(np.asarray(value))


def _batch_set_value(tuples: Any) -> None:
    for variable, value in tuples:
        _set_value(variable, value)


def _function(inputs: Any, outputs: Any, updates: Any = None, **_: Any) -> Callable[[Any], list[Any]]:
    """Return a function: arrays -> list of arrays."""
    import keras

    if updates:
        raise UserError(
            "K.function(updates=...) needs a TensorFlow 1 graph, which is missing; use Model.train_on_batch"
        )
    symbols = [symbol for symbol in inputs if isinstance(symbol, keras.KerasTensor)]
    model = keras.Model(symbols, outputs)

    import numpy as np

    def compute(values: Any) -> list[Any]:
        results = model([np.asarray(value) for value in values[: len(symbols)]], training=False)
        return [np.asarray(result) for result in (results if isinstance(results, list | tuple) else [results])]

    return compute


def _in_train_phase(x: Any, alt: Any, training: Any = None) -> Any:
    chosen = x if training else alt
    return chosen() if callable(chosen) else chosen


def _placeholder(shape: Any = None, ndim: int | None = None, dtype: Any = None, name: Any = None, **_: Any) -> Any:
    import keras

    report.translated("K.placeholder() -> keras.Input")
    return keras.Input(batch_shape=shape if shape is not None else (None,) * (ndim or 0), dtype=dtype, name=name)
