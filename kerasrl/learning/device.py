"""Which processor and how many threads TensorFlow uses, chosen to suit the size of the work."""

import os
import warnings
from typing import Any

import tensorflow as tf

from kerasrl.config.checks import LARGE
from kerasrl.errors import Note, UserError
from kerasrl.phrases import to_type

# From which TensorFlow takes its number of threads.
VARIABLES = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS")
_has_spoken = False  # whether nothing remains to be said about threads


def configure(
    observation_shape: Any = (), threads: int = 0, device: str = "auto", nb_weights: int | None = None
) -> str:
    """Choose threads and device before a model is built; return the choice and its reason in words.

    A network for vectors is usually so small that handing its work to other threads or to a GPU takes longer than doing
    it; convolutions over images, and large networks, gain from both.

    Args:
        observation_shape: Shape of one observation, or a dictionary of shapes. With two dimensions or more it is an
            image, otherwise, as by default, a vector.
        threads: Number of threads, 0 to choose.
        device: 'cpu', 'gpu', or 'auto' to choose.
        nb_weights: Number of the network's weights; from 250,000 on it is large. None if unknown: it counts as small.

    Raises:
        UserError: There is no GPU for device 'gpu', or there are far fewer cores than threads, or TensorFlow has
            already begun to compute with other threads or on another device.
    """
    say_nothing()
    shapes = observation_shape.values() if isinstance(observation_shape, dict) else [observation_shape]
    is_image = any(len(shape) >= 2 for shape in shapes)
    is_large = nb_weights is not None and nb_weights >= LARGE
    gpus = tf.config.list_physical_devices("GPU")
    if device == "gpu" and not gpus:
        raise UserError("device gpu: TensorFlow finds no GPU on this machine; use cpu")
    on_gpu = bool(gpus) and (device == "gpu" or (device == "auto" and (is_image or is_large)))
    if threads > (most := max(256, 4 * (os.cpu_count() or 1))):
        raise UserError(f"threads must be at most {most} on this machine, not {threads}; 0 chooses")
    chosen = threads or ((os.cpu_count() or 1) if is_image or is_large else 1)
    try:
        set_threads(chosen)
        if gpus:
            tf.config.set_visible_devices(gpus if on_gpu else [], "GPU")
        kind = f"observations are {'images' if is_image else 'vectors'}"
        if not is_image and nb_weights is not None:
            kind += f", the network is {'large' if is_large else 'small'}"
    except RuntimeError:  # too late: in this process the choice has been made
        on_gpu = bool(tf.config.get_visible_devices("GPU"))
        has = tf.config.threading.get_intra_op_parallelism_threads()
        if (threads and threads != has) or device not in ("auto", "gpu" if on_gpu else "cpu"):
            again = to_type("run the program again", "restart the kernel (or the script)")
            raise UserError(
                f"TensorFlow has begun to compute ({_in_words(on_gpu, has)}) and can no longer change threads or "
                f"device in this process: {again}, and ask for them before a model is built"
            ) from None
        chosen, kind = has, "as TensorFlow was started"
    asked = "as requested" if threads or device != "auto" else kind
    return f"{_in_words(on_gpu, chosen)} ({asked})"


def note_if_slow() -> None:
    """Issue a `Note`, once, about what a small network that has just been compiled would gain from `configure`."""
    is_chosen = not os.environ.keys().isdisjoint(VARIABLES) or threads() != (0, 0)
    if not (_has_spoken or is_chosen or os.cpu_count() == 1):
        say_nothing()
        warnings.warn(
            "TensorFlow uses a thread for each core, with which a step of such a small network takes about 250 "
            "microseconds instead of 100 to 115: next time, call kerasrl.configure() before building the model",
            Note,
            stacklevel=4,
        )


def say_nothing() -> None:
    """Keep `note_if_slow` silent in this process."""
    global _has_spoken
    _has_spoken = True


def threads() -> tuple[int, int]:
    """Return the numbers of threads asked for, within an operation and between operations; 0 if left to TensorFlow."""
    threading = tf.config.threading
    return threading.get_intra_op_parallelism_threads(), threading.get_inter_op_parallelism_threads()


def set_threads(number: int) -> None:
    """Ask for a number of threads, 0 for TensorFlow's own; RuntimeError once TensorFlow has begun to compute."""
    tf.config.threading.set_intra_op_parallelism_threads(number)
    tf.config.threading.set_inter_op_parallelism_threads(number)


def _in_words(on_gpu: bool, number: int) -> str:
    words = f"{number} thread{'s' if number != 1 else ''}" if number else "TensorFlow's own number of threads"
    return f"{'GPU' if on_gpu else 'CPU'}, {words}"
