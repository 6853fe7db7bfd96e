"""The update of a deep Q-network, in one compiled TensorFlow call for each training step.

The call also returns the Q-values of the observation to act on next, so that learning and acting together cost one
call.
"""

import functools

import numpy as np
import tensorflow as tf

from kerasrl.learning.batches import Batch, unpacked
from kerasrl.learning.trainable import Trainable
from kerasrl.learning.updates import Metrics, note_if_slow, several_updates
from kerasrl.replay.packed import PackedLayout


def huber_loss(error: tf.Tensor, clip_value: float) -> tf.Tensor:
    """Huber loss as in rl.util.huber_loss: x^2 / 2 up to `clip_value`, linear beyond."""
    squared = 0.5 * tf.square(error)
    if np.isinf(clip_value):
        return squared
    size = tf.abs(error)
    return tf.where(size < clip_value, squared, clip_value * (size - 0.5 * clip_value))


class Update:
    """Trains a Q-network on batches of transitions (Mnih et al. 2015).

    Args:
        network: The network, from states [B, W, *observation] to Q-values [B, nb_actions].
        metrics: Metrics of (target Q-values, Q-values), both [B, nb_actions]; as in Keras-RL the targets of actions
            that were not taken are 0.
        delta_clip: Size of the temporal-difference error above which the Huber loss is linear.
        double: Let the online network choose the next action and the target network estimate its value
            (van Hasselt et al. 2015).
        tau: Mixing rate of the soft target update after each update, None for hard updates on demand.
        weighted: Whether transitions have weights, which multiply their losses (not the metrics); then the
            transitions' errors are returned, too.
    """

    def __init__(
        self,
        network: Trainable,
        nb_actions: int,
        metrics: Metrics,
        *,
        delta_clip: float,
        double: bool,
        tau: float | None,
        gradient_steps: int = 1,
        weighted: bool = False,
    ) -> None:
        self._network, self._nb_actions, self._metrics = network, nb_actions, metrics
        self._delta_clip, self._double, self._tau = delta_clip, double, tau
        self._gradient_steps, self._weighted = gradient_steps, weighted
        if network.calls.jit_compile:
            note_if_slow(gradient_steps, network.has_convolutions, stacklevel=3)

    def __call__(self, batch: Batch, following: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Train on `gradient_steps` batches.

        Args:
            batch: Their n = gradient_steps * batch_size transitions, with weights if `weighted`.
            following: The state to act on next, an array [1, W, *part] for each input.

        Returns:
            The mean metrics, the Q-values of `following` and, if `weighted`, the transitions' temporal-difference
            errors [n], each from before the update it was used in.
        """
        network = self._network
        network.take_over()
        update = functools.partial(self._update, batch.kind)
        result = network.calls(("update", batch.kind), update, [*following, *batch.states, *batch.rest])
        network.have_changed()
        nb_metrics = 1 + len(self._metrics)
        nb_known = nb_metrics + (len(batch.states[0]) if self._weighted else 0)
        return result[:nb_metrics], result[nb_known:], result[nb_metrics:nb_known]

    def train_on_targets(self, states: list[np.ndarray], targets: np.ndarray, masks: np.ndarray) -> list[float]:
        """Train on states [B, W, *part], an array for each input, and targets and masks [B, nb_actions] of all actions.

        Returns loss and metrics.
        """
        network = self._network
        network.take_over()
        result: list[float] = network.calls("targets", self._train_on_targets, [*states, targets, masks]).tolist()
        network.have_changed()
        return result

    def _train_on_targets(self, *arrays: tf.Tensor) -> tf.Tensor:
        *states, targets, masks = arrays
        seen: list[tf.Tensor] = []

        def loss_of(q_values: tf.Tensor) -> tf.Tensor:
            seen[:] = [q_values]
            losses = huber_loss(targets - tf.cast(q_values, tf.float32), self._delta_clip)
            return tf.reduce_mean(tf.reduce_sum(losses * masks, -1))

        loss = self._network.descend(states, loss_of)
        if self._tau is not None:
            self._network.move_target(self._tau)
        return tf.stack([loss, *self._metrics.results(targets, seen[0])])

    def _update(self, kind: str | PackedLayout, *tensors: tf.Tensor) -> tf.Tensor:
        nb_inputs = self._network.nb_inputs
        following, transitions = tensors[:nb_inputs], tensors[nb_inputs:]
        states0, states1, (actions, *rest) = unpacked(kind, transitions, nb_inputs, following[0].shape[1])
        if actions.shape.rank > 1:  # a policy may return arrays of one number
            actions = tf.reshape(actions, [-1])
        known = several_updates(
            self._update_once,
            [*states0, *states1, tf.cast(actions, tf.int32), *rest],
            self._gradient_steps,
            nb_metrics=1 + len(self._metrics),
            nb_errors=actions.shape[0] // self._gradient_steps if self._weighted else 0,
            has_convolutions=self._network.has_convolutions,
        )
        q_values = self._network.forward(list(following))[0]
        return tf.concat([*known, tf.cast(q_values, tf.float32)], 0)

    def _update_once(self, *batch: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Train on one batch and move the target network; return loss and metrics, and, if `weighted`, the errors."""
        nb_states = len(batch) - (4 if self._weighted else 3)
        states, (actions, rewards, discounts, *weights) = list(batch[:nb_states]), batch[nb_states:]
        states0, states1 = states[: len(states) // 2], states[len(states) // 2 :]
        # Read before anything else: in a compiled loop XLA then copies less; 8 updates take 205 instead of 345
        # microseconds (2 cores, 1 thread).
        weights_before = self._network.weights()
        targets = rewards + discounts * self._values_of(states1)
        taken = tf.one_hot(actions, self._nb_actions)
        seen: list[tf.Tensor] = []

        def loss_of(q_values: tf.Tensor) -> tf.Tensor:
            error = targets - tf.reduce_sum(tf.cast(q_values, tf.float32) * taken, -1)
            losses = huber_loss(error, self._delta_clip)
            for importance in weights:
                losses = importance * losses
            seen[:] = [q_values, error]
            return tf.reduce_mean(losses)

        loss = self._network.descend(states0, loss_of, weights_before)
        q_values, error = seen
        if self._tau is not None:
            self._network.move_target(self._tau)
        known = tf.stack([loss, *self._metrics.results(taken * targets[:, None], q_values)])
        return known, error if self._weighted else error[:0]

    def _values_of(self, states1: list[tf.Tensor]) -> tf.Tensor:
        """Return the target network's value of the best action in each of the next states [B]."""
        values = self._network.forward_target(states1)
        if self._double:
            best = tf.argmax(self._network.forward(states1), -1)
            return tf.cast(tf.gather(values, best, batch_dims=1), tf.float32)
        return tf.cast(tf.reduce_max(values, -1), tf.float32)
