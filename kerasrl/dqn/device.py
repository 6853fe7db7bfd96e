"""Which processor and how many threads TensorFlow uses, chosen to suit the size of the work."""

import contextlib
import functools
import inspect
import os
from typing import Any

import keras
import tensorflow as tf

from kerasrl.errors import UserError, to_type

# By which TensorFlow takes threads.
_VARIABLES = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS")


def configure(observation_shape: Any, threads: int = 0, device: str = "auto") -> str:
    """Choose threads and device before TensorFlow first computes; return the choice and its reason in words.

    A network for vectors is so small that handing its work to other threads or to a GPU takes longer than doing
    it; convolutions over images gain from both.

    Args:
        observation_shape: Shape of one observation, or a dictionary of shapes; two dimensions or more are an image.
        threads: Number of threads, 0 to choose.
        device: 'cpu', 'gpu', or 'auto' to choose.

    Raises:
        UserError: A GPU is asked for but there is none, or far more threads than cores, or TensorFlow has already
            computed something and has other threads or another device than those that are asked for.
    """
    shapes = observation_shape.values() if isinstance(observation_shape, dict) else [observation_shape]
    is_image = any(len(shape) >= 2 for shape in shapes)
    gpus = tf.config.list_physical_devices("GPU")
    if device == "gpu" and not gpus:
        raise UserError("device gpu: TensorFlow finds no GPU on this machine; use cpu")
    on_gpu = bool(gpus) and (device == "gpu" or (device == "auto" and is_image))
    if threads > (most := max(256, 4 * (os.cpu_count() or 1))):
        raise UserError(f"threads must be at most {most} on this machine, is {threads}; 0 chooses")
    chosen = threads or ((os.cpu_count() or 1) if is_image else 1)
    try:
        _set_threads(chosen)
        if gpus:
            tf.config.set_visible_devices(gpus if on_gpu else [], "GPU")
        kind = "observations are images" if is_image else "observations are vectors, the network is small"
    except RuntimeError:  # for this process the choice has been made
        on_gpu = bool(tf.config.get_visible_devices("GPU"))
        has, _ = _threads()
        if (threads and threads != has) or device not in ("auto", "gpu" if on_gpu else "cpu"):
            again = to_type("run the program again", "restart the kernel (or the script)")
            raise UserError(
                f"TensorFlow has begun to compute ({_in_words(on_gpu, has)}) and takes no other threads or device in "
                f"this process: {again}, and ask for them before a model is built"
            ) from None
        chosen, kind = has, "as TensorFlow was started"
    asked = "as requested" if threads or device != "auto" else kind
    return f"{_in_words(on_gpu, chosen)} ({asked})"


def choose_at_first_input() -> None:
    """Let networks that are built from now on get the number of threads that `configure` would choose.

    TensorFlow takes no other number once there are weights; before that, only a network's inputs tell what it is for.
    A number that somebody chose stays: by `configure`, by tf.config.threading, or by an environment variable.
    """
    initialise, ours = keras.layers.InputLayer.__init__, 0  # 0: as many as TensorFlow wants

    @functools.wraps(initialise)
    def choosing(self: Any, *args: Any, **kwargs: Any) -> None:
        nonlocal ours
        initialise(self, *args, **kwargs)
        if os.environ.keys().isdisjoint(_VARIABLES) and _threads() == (ours, ours):
            is_image = len(self.batch_shape) > 3  # batch, window, observation
            with contextlib.suppress(RuntimeError):  # there are weights already
                _set_threads(0 if is_image else 1)
                ours = 0 if is_image else 1

    choosing.__signature__ = inspect.signature(initialise)  # type: ignore[attr-defined]  # which Keras reads
    keras.layers.InputLayer.__init__ = choosing


def _threads() -> tuple[int, int]:
    threading = tf.config.threading
    return threading.get_intra_op_parallelism_threads(), threading.get_inter_op_parallelism_threads()


def _set_threads(number: int) -> None:
    tf.config.threading.set_intra_op_parallelism_threads(number)
    tf.config.threading.set_inter_op_parallelism_threads(number)


def _in_words(on_gpu: bool, threads: int) -> str:
    number = f"{threads} thread{'s' if threads != 1 else ''}" if threads else "TensorFlow's own number of threads"
    return f"{'GPU' if on_gpu else 'CPU'}, {number}"
