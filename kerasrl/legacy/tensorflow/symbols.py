"""TensorFlow's functions on a Keras model's symbolic tensors, as in Keras 2: each becomes a layer of the model."""

import functools
from collections.abc import Callable
from typing import Any


def let_operations_take_symbols(tf: Any) -> None:
    """Let TensorFlow's functions take a Keras model's symbolic tensors."""

    class OnSymbols(tf.__internal__.dispatch.GlobalOpDispatcher):
        def handle(self, op: Any, args: Any, kwargs: Any) -> Any:
            import keras

            if any(isinstance(value, keras.KerasTensor) for value in keras.tree.flatten((args, kwargs))):
                return as_layer(op, args, kwargs)
            return self.NOT_SUPPORTED

    OnSymbols().register()


def as_layer(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Return function(*args, **kwargs), as a Lambda layer's output if symbolic tensors are among the arguments."""
    import keras

    symbols = [value for value in keras.tree.flatten((args, kwargs)) if isinstance(value, keras.KerasTensor)]
    if not symbols:
        return function(*args, **kwargs)

    def compute(values: Any) -> Any:
        left = iter(values)
        fill = lambda value: next(left) if isinstance(value, keras.KerasTensor) else value  # noqa: E731
        filled, named = keras.tree.map_structure(fill, (args, kwargs))
        return function(*filled, **named)

    return _operation()(compute)(symbols)


@functools.cache
def _operation() -> Any:
    """Return a layer that computes a function, and whose copies compute the same one."""
    import keras

    class Operation(keras.layers.Lambda):
        def get_config(self) -> dict[str, Any]:
            return {"name": self.name, "function": self.function}

        @classmethod
        def from_config(cls, config: dict[str, Any], *_: Any, **__: Any) -> Any:
            return cls(**config)

    return Operation
