"""All trainable weights of a small network as one vector, which a compiled call handles faster than many variables."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras.optimizers import SGD, Adadelta, Adagrad, Adam, Adamax, Ftrl, Lion, Nadam, RMSprop

from kerasrl.learning.compiled_call import CompiledCall

# Optimizers whose update of a weight depends on that weight alone, so that all weights may be one vector.
_ELEMENTWISE = (SGD, Adadelta, Adagrad, Adam, Adamax, Ftrl, Lion, Nadam, RMSprop)

# Up to this many weights one vector is faster than separate variables, since a call has fewer variables to lock; beyond
# it, copying the slices costs more. Microseconds a call takes with a vector and with variables: 658 weights 55 and 80,
# 4,610 weights 49 and 75, 67,586 weights 242 and 212, 1,056,770 weights 6,833 and 2,527 (2 cores, 1 thread).
_VECTOR_LIMIT = 20_000


def can_be_vector(variables: Sequence[Any], optimizer: Any) -> bool:
    """Return whether the optimizer treats one vector just as it does these variables, and whether that is faster."""
    return (
        type(optimizer) in _ELEMENTWISE
        # A norm for each variable, which `clipped` takes care of unless Keras changes gradients before it clips them.
        and (
            optimizer.clipnorm is None
            or (optimizer.gradient_accumulation_steps is None and optimizer.loss_scale_factor is None)
        )
        and optimizer.weight_decay is None  # may exclude variables by name
        and len({v.dtype for v in variables}) == 1
        and all(getattr(v, "constraint", None) is None for v in variables)
        and sum(int(np.prod(v.shape)) for v in variables) <= _VECTOR_LIMIT
    )


@contextlib.contextmanager
def clipped(optimizer: Any, gradients: Sequence[tf.Tensor]) -> Iterator[list[tf.Tensor]]:
    """Yield gradients clipped to the optimizer's `clipnorm` each, which it is without while the block runs."""
    norm, optimizer.clipnorm = optimizer.clipnorm, None
    try:
        yield [tf.clip_by_norm(gradient, norm) for gradient in gradients] if norm else list(gradients)
    finally:
        optimizer.clipnorm = norm


def joined(variables: Sequence[Any]) -> tf.Tensor:
    """Return tensors or variables as one vector."""
    return tf.concat([tf.reshape(tf.convert_to_tensor(v), [-1]) for v in variables], 0)


def split(vector: tf.Tensor, shapes: Sequence[tuple[int, ...]]) -> list[tf.Tensor]:
    """Undo `joined`."""
    sizes = [int(np.prod(shape)) for shape in shapes]
    return [tf.reshape(part, shape) for part, shape in zip(tf.split(vector, sizes), shapes, strict=True)]


def after(value: tf.Tensor, weights: Sequence[tf.Tensor]) -> list[tf.Tensor]:
    """Return the same weights, bit for bit, that are not taken out of their vector before `value` is known.

    XLA hands work to another thread, and waits for it, whenever more than eight operations could start. An actor and a
    critic with their targets are twelve kernels: one after the other, a step with them takes 0.75 of the time (600 and
    800 microseconds with 64, 64 nodes, 500 and 700 with Keras-RL's example), and on a busy machine half of it.
    """
    nothing = tf.minimum(tf.abs(tf.reshape(value, [-1])[0]), 0.0)  # 0, which XLA does not know
    return [weight - tf.cast(nothing, weight.dtype) if weight.shape.rank > 1 else weight for weight in weights]


def copying(
    values: Callable[[], list[tf.Tensor]], variables: Sequence[keras.Variable], jit_compile: bool
) -> CompiledCall:
    """Return a call, without arguments, that assigns values to variables.

    For eight variables it takes 25 to 45 microseconds. One by one they would take 1,500, as much as four steps.
    """

    def copy() -> tf.Tensor:
        for variable, value in zip(variables, values(), strict=True):
            variable.value.assign(value)
        return tf.zeros(0)

    return CompiledCall(copy, [], jit_compile)
