"""What happens inside a compiled call that trains: several updates, and Keras metrics of each."""

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerasrl.errors import Note

# Up to this many updates of a network with convolutions are unrolled in a call; each takes about a second to compile.
# In a compiled loop they have one thread and slow kernels: 8 updates of MinAtar's network take 31 ms there and 8 ms
# unrolled (2 cores). Dense networks are faster in a loop.
_UNROLL_LIMIT = 16


def note_if_slow(nb_updates: int, has_convolutions: bool, stacklevel: int) -> None:
    """Issue a `Note` if that many updates of such a network are slow."""
    if has_convolutions and nb_updates > _UNROLL_LIMIT:
        what = f"gradient_steps {nb_updates} is slow with convolutions, which are fast up to {_UNROLL_LIMIT}"
        warnings.warn(what, Note, stacklevel=stacklevel + 1)


def several_updates(
    update: Callable[..., tuple[tf.Tensor, tf.Tensor]],
    batches: Sequence[tf.Tensor],
    nb_updates: int,
    *,
    nb_metrics: int,
    nb_errors: int,
    has_convolutions: bool,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the mean metrics of one update for each batch, and all errors [nb_updates * nb_errors].

    Args:
        update: Trains on one batch; returns its metrics [nb_metrics] and errors [nb_errors].
        batches: What all updates take, each [nb_updates * batch_size, ...].
        nb_updates, nb_metrics, nb_errors: Numbers of updates, and of the metrics and errors each of them returns.
        has_convolutions: Whether the network has any.
    """
    if nb_updates == 1:
        return update(*batches)
    split = [tf.reshape(b, [nb_updates, b.shape[0] // nb_updates, *b.shape[1:]]) for b in batches]
    if has_convolutions and nb_updates <= _UNROLL_LIMIT:
        results = [update(*[b[i] for b in split]) for i in range(nb_updates)]
        metrics, all_errors = zip(*results, strict=True)
        return tf.add_n(metrics) / nb_updates, tf.concat(all_errors, 0)

    def next_update(i: tf.Tensor, total: tf.Tensor, errors: tf.TensorArray) -> tuple[tf.Tensor, ...]:
        metrics, error = update(*[b[i] for b in split])
        return i + 1, total + metrics, errors.write(i, error)

    errors = tf.TensorArray(tf.float32, nb_updates, element_shape=[nb_errors])
    _, total, errors = tf.while_loop(
        lambda i, *_: i < nb_updates, next_update, [tf.constant(0), tf.zeros(nb_metrics), errors]
    )
    return total / nb_updates, errors.concat()


def huber_loss(error: tf.Tensor, clip_value: float) -> tf.Tensor:
    """Huber loss as in rl.util.huber_loss: x^2 / 2 up to `clip_value`, linear beyond."""
    squared = 0.5 * tf.square(error)
    if np.isinf(clip_value):
        return squared
    size = tf.abs(error)
    return tf.where(size < clip_value, squared, clip_value * (size - 0.5 * clip_value))


# What Keras 1 and 2 called some metrics -> today's name. Where there is another for a single output, it comes second.
_OLD_NAMES: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("acc", "accuracy"), ("categorical_accuracy", "binary_accuracy")),
    **dict.fromkeys(("ce", "crossentropy"), ("categorical_crossentropy", "binary_crossentropy")),
    **dict.fromkeys(("cosine", "cosine_proximity"), ("cosine_similarity",)),
    **dict.fromkeys(("kld", "KLD", "kullback_leibler_divergence"), ("kl_divergence",)),
    **dict.fromkeys(("logcosh", "log_cosh"), ("LogCoshError",)),
}


class Metrics:
    """Keras metrics, named or given, or functions of (targets, outputs), which start anew with each batch.

    Args:
        metrics: The metrics; names of Keras 1 and 2 mean what they meant there, and are logged as they are given.
        nb_outputs: How many outputs the network has, which decides what 'accuracy' means.

    Raises:
        ValueError, TypeError: Keras does not know such a metric.
    """

    def __init__(self, metrics: Sequence[Any] = (), nb_outputs: int | None = None) -> None:
        named = [_named(metric, nb_outputs) for metric in metrics]
        self.names = [name for name, _ in named]
        self._metrics = [metric for _, metric in named]
        self._fresh = [[tf.convert_to_tensor(v).numpy() for v in metric.variables] for metric in self._metrics]

    def __len__(self) -> int:
        return len(self.names)

    def results(self, targets: tf.Tensor, outputs: tf.Tensor) -> list[tf.Tensor]:
        """Return the value of each metric, a float32 scalar."""
        results = []
        for metric, fresh in zip(self._metrics, self._fresh, strict=True):
            variables = metric.stateless_update_state(fresh, targets, outputs)
            results.append(tf.cast(metric.stateless_result(variables), tf.float32))
        return results


def _named(metric: Any, nb_outputs: int | None) -> tuple[str, Any]:
    """Return a metric's name in the log and a Keras metric object."""
    names = _OLD_NAMES.get(metric, (metric,)) if isinstance(metric, str) else (metric,)
    found = keras.metrics.get(names[-1] if nb_outputs == 1 else names[0])
    if not isinstance(found, keras.metrics.Metric):
        found = keras.metrics.MeanMetricWrapper(found, name=getattr(found, "__name__", type(found).__name__))
    return (metric if isinstance(metric, str) else found.name), found
