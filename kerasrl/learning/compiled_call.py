"""A function of arrays as one compiled TensorFlow call, with as little as possible between NumPy and XLA."""

import contextlib
import functools
import itertools
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from kerasrl.errors import Note


class CompiledCalls:
    """Functions of arrays that are compiled on their first call, once for each layout of their arguments.

    Args:
        jit_compile: True compiles with XLA, False does not, 'auto' does if the function allows it.
    """

    def __init__(self, jit_compile: bool | str = "auto") -> None:
        self.jit_compile = jit_compile
        self._calls: dict[Any, CompiledCall] = {}

    def forget(self) -> None:
        """Compile everything again, since what the functions were made of has changed."""
        self._calls.clear()

    def __call__(self, name: Any, function: Callable[..., tf.Tensor], arrays: list[np.ndarray]) -> np.ndarray:
        """Return the result of a function, told apart from others by `name`, that takes a tensor for each array.

        Floats and vectors of any type become float32.
        """
        key = (name, *[(a.shape, a.ndim > 1 and a.dtype.kind != "f" and a.dtype.char) for a in arrays])
        call = self._calls.get(key)
        if call is not None:
            return call(arrays)
        try:
            call = CompiledCall(function, arrays, bool(self.jit_compile))
            result = call(arrays)
        except (tf.errors.InvalidArgumentError, tf.errors.UnimplementedError, tf.errors.NotFoundError):
            if self.jit_compile != "auto":
                raise
            self.jit_compile = False  # an operation has no XLA kernel; a mistake of the caller's is raised once more
            return self(name, function, arrays)
        self._calls[key] = call
        return result


class CompiledCall:
    """A function of arrays, traced and compiled for one layout of its arguments.

    Floating-point and one-dimensional arrays travel as one vector, since each tensor that is handed over costs about 25
    microseconds. The vector is a NumPy buffer that TensorFlow reads in place: a new tensor would cost another 13. This
    is safe because the result of a call is awaited before the buffer is written again.
    """

    def __init__(self, function: Callable[..., tf.Tensor], arrays: Sequence[np.ndarray], jit_compile: bool) -> None:
        shapes = self._shapes = [array.shape for array in arrays]
        self._packed = [array.ndim == 1 or np.issubdtype(array.dtype, np.floating) for array in arrays]
        others = [(a.shape, a.dtype) for a, packed in zip(arrays, self._packed, strict=True) if not packed]
        sizes = [a.size if packed else 0 for a, packed in zip(arrays, self._packed, strict=True)]
        size, ends = sum(sizes), itertools.accumulate(sizes)
        buffer = _aligned_zeros(size)
        self._vector = tf.experimental.dlpack.from_dlpack(buffer.__dlpack__())
        parts = [buffer[end - size : end] for size, end in zip(sizes, ends, strict=True)]
        # Where each of the packed arrays is in the buffer, None for others.
        self._places = [
            part.reshape(shape) if packed else None
            for part, shape, packed in zip(parts, shapes, self._packed, strict=True)
        ]
        self._concrete = tf.function(  # kept, since TensorFlow forgets a function that nobody refers to
            lambda *tensors: function(*self._unpack(*tensors)),
            input_signature=[tf.TensorSpec([size], tf.float32), *(tf.TensorSpec(*other) for other in others)],
            jit_compile=jit_compile,
            autograph=False,
        ).get_concrete_function()
        by_name = _can_call_by_name()
        self._execute = _by_name(self._concrete, jit_compile) if by_name else _by_public_call(self._concrete)

    def __call__(self, arrays: Sequence[np.ndarray]) -> np.ndarray:
        """Return the function's result for arrays of the shapes and types it was compiled for."""
        inputs = [self._vector]
        for place, array in zip(self._places, arrays, strict=True):
            if place is None:
                inputs.append(tf.constant(array))
            else:
                place[...] = array
        return self._execute(inputs)

    def _unpack(self, vector: tf.Tensor, *others: tf.Tensor) -> list[tf.Tensor]:
        remaining, arrays, start = list(others), [], 0
        for shape, packed in zip(self._shapes, self._packed, strict=True):
            if packed:
                size = int(np.prod(shape))
                arrays.append(tf.reshape(vector[start : start + size], shape))
                start += size
            else:
                arrays.append(remaining.pop(0))
        return arrays


Execute = Callable[[list[tf.Tensor]], np.ndarray]  # calls a function with tensors, returns a copy of its result


def _by_public_call(concrete: Any) -> Execute:
    return lambda inputs: np.array(concrete(*inputs))


def _by_name(concrete: Any, jit_compile: bool = False) -> Execute:
    """Call a concrete function by its name, as TensorFlow's eager context does.

    In a training loop the dispatch of `tf.function` costs about 150 microseconds more, that of a concrete function
    about 70, the eager context's 25; a whole step takes 120. The names used here are not public and may be missing.
    """
    from tensorflow.python import pywrap_tfe
    from tensorflow.python.eager import context, core

    name, captured = concrete.name.decode(), list(concrete.captured_inputs)
    eager = context.context()
    eager.ensure_initialized()
    # How to run the operations of a function, which XLA makes one of: to read it takes 6 of a call's 66 microseconds.
    options = {} if jit_compile else eager.function_call_options.as_attrs()
    attributes = tuple(itertools.chain(*options.items()))
    run, handle, failure = pywrap_tfe.TFE_Py_Execute, eager._handle, core._NotOkStatusException

    def execute(inputs: list[tf.Tensor]) -> np.ndarray:
        try:
            (result,) = run(handle, "", name, inputs + captured, attributes, 1)
            values: np.ndarray = result._numpy_internal().copy()
        except failure as error:
            raise core._status_to_exception(error) from None
        return values

    return execute


@functools.cache
def _can_call_by_name() -> bool:
    """Try out, on a function of three elements, whether this TensorFlow lets functions be called by name."""
    double = tf.function(lambda x: 2.0 * x, input_signature=[tf.TensorSpec([3], tf.float32)], autograph=False)
    with contextlib.suppress(Exception):  # whatever these names mean in another release of TensorFlow
        result = _by_name(double.get_concrete_function())([tf.constant([1.0, 2.0, 3.0])])
        if np.array_equal(result, [2.0, 4.0, 6.0]):
            return True
    warnings.warn(
        f"TensorFlow {tf.__version__} differs internally from the release this was written for, so its public "
        "interface is used instead: the results are the same, but a step takes about 70 microseconds longer",
        Note,
        stacklevel=2,
    )
    return False


def _aligned_zeros(size: int) -> np.ndarray:
    """Return a vector of float32 that starts at a multiple of 64 bytes, as XLA expects of a buffer."""
    bytes_ = np.zeros(4 * size + 64, np.uint8)
    start = -bytes_.ctypes.data % 64
    return bytes_[start : start + 4 * size].view(np.float32)
