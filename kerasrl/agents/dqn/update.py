"""The update of a deep Q-network, in one compiled TensorFlow call for each training step."""

from collections.abc import Hashable
from typing import Any

import numpy as np
import tensorflow as tf

from kerasrl.learning import BatchUpdate, Metrics, Trainable, Transitions
from kerasrl.learning.updates import huber_loss


class Update(BatchUpdate):
    """Trains a Q-network on batches of transitions (Mnih et al. 2015).

    Args:
        network: The network, from states [B, W, *observation] to Q-values [B, nb_actions].
        nb_actions: Number of actions.
        metrics: Metrics of (target Q-values, Q-values), both [B, nb_actions]; as in Keras-RL the targets of actions
            that were not taken are 0.
        double: Let the online network choose the next action and the target network estimate its value
            (van Hasselt et al. 2015).
        masked: Whether transitions have the next states' action masks, by which the next action is a legal one.
        options: Those of `BatchUpdate`.
    """

    def __init__(
        self,
        network: Trainable,
        nb_actions: int,
        metrics: Metrics,
        *,
        double: bool,
        masked: bool = False,
        **options: Any,
    ) -> None:
        super().__init__([network], metrics, **options)
        self._network, self._nb_actions, self._double, self._masked = network, nb_actions, double, masked

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

    def _as_actions(self, actions: tf.Tensor) -> tf.Tensor:
        if actions.shape.rank > 1:  # a policy may return arrays of one number
            actions = tf.reshape(actions, [-1])
        return tf.cast(actions, tf.int32)

    def _update_once(self, phase: Hashable, batch: Transitions) -> tuple[list[tf.Tensor], tf.Tensor]:
        masks = batch.others[0] if self._masked else None
        # Read before anything else: in a compiled loop XLA then copies less; 8 updates take 205 instead of 345
        # microseconds (2 cores, 1 thread).
        weights_before = self._network.weights()
        targets = batch.rewards + batch.discounts * self._values_of(batch.states1, masks)
        taken = tf.one_hot(batch.actions, self._nb_actions)
        seen: list[tf.Tensor] = []

        def loss_of(q_values: tf.Tensor) -> tf.Tensor:
            error = targets - tf.reduce_sum(tf.cast(q_values, tf.float32) * taken, -1)
            losses = huber_loss(error, self._delta_clip)
            for importance in batch.weights:
                losses = importance * losses
            seen[:] = [q_values, error]
            return tf.reduce_mean(losses)

        loss = self._network.descend(batch.states0, loss_of, weights_before)
        q_values, error = seen
        if self._tau is not None:
            self._network.move_target(self._tau)
        return [loss, *self._metrics.results(taken * targets[:, None], q_values)], error

    def _values_of(self, states1: list[tf.Tensor], masks: tf.Tensor | None) -> tf.Tensor:
        """Return the target network's value of the best action, a legal one, in each of the next states [B]."""
        values = self._network.forward_target(states1)
        if self._double:
            best = tf.argmax(_legal(self._network.forward(states1), masks), -1)
            return tf.cast(tf.gather(values, best, batch_dims=1), tf.float32)
        return tf.cast(tf.reduce_max(_legal(values, masks), -1), tf.float32)


def _legal(q_values: tf.Tensor, masks: tf.Tensor | None) -> tf.Tensor:
    """Return Q-values [B, nb_actions], in which those of actions that are not legal are the lowest."""
    return q_values if masks is None else tf.where(masks > 0, q_values, q_values.dtype.min)
