"""Which processor and how many threads TensorFlow uses, chosen to suit the size of the work."""

import os
from typing import Any

import tensorflow as tf

from kerasrl.errors import UserError


def configure(observation_shape: Any, threads: int = 0, device: str = "auto") -> str:
    """Choose threads and device before TensorFlow first computes; return the choice and its reason in words.

    A network for vectors is so small that handing its work to other threads or to a GPU takes longer than doing
    it; convolutions over images gain from both.

    Args:
        observation_shape: Shape of one observation, or a dictionary of shapes; two dimensions or more are an image.
        threads: Number of threads, 0 to choose.
        device: 'cpu', 'gpu', or 'auto' to choose.

    Raises:
        UserError: A GPU is asked for but there is none, or far more threads than cores, or threads or a device after
            TensorFlow has already computed something.
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
        tf.config.threading.set_intra_op_parallelism_threads(chosen)
        tf.config.threading.set_inter_op_parallelism_threads(chosen)
        if gpus and not on_gpu:
            tf.config.set_visible_devices([], "GPU")
        kind = "observations are images" if is_image else "observations are vectors, the network is small"
    except RuntimeError:
        if threads or device != "auto":
            raise UserError("threads and device must be set before TensorFlow first computes anything") from None
        chosen, kind = tf.config.threading.get_intra_op_parallelism_threads(), "as TensorFlow was started"
        if chosen == 0:
            return f"{'GPU' if on_gpu else 'CPU'}, TensorFlow's own number of threads ({kind})"
    asked = "as requested" if threads or device != "auto" else kind
    return f"{'GPU' if on_gpu else 'CPU'}, {chosen} thread{'s' if chosen != 1 else ''} ({asked})"
