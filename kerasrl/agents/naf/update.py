"""The update of normalised advantage functions, in one compiled TensorFlow call for each training step."""

from collections.abc import Hashable
from typing import Any

import numpy as np
import tensorflow as tf

from kerasrl.agents.naf.network import NAFNetwork
from kerasrl.learning import BatchUpdate, Metrics, Transitions
from kerasrl.learning.updates import huber_loss


class Update(BatchUpdate):
    """Trains V, L and mu on batches of transitions (Gu et al. 2016, algorithm 1): the next state is worth V.

    Args:
        network: The combined network.
        metrics: Metrics of (targets, Q-values), both [B, 1].
        options: Those of `BatchUpdate`.
    """

    def __init__(self, network: NAFNetwork, nb_actions: int, metrics: Metrics, **options: Any) -> None:
        super().__init__([network], metrics, **options)
        self._network, self._nb_actions = network, nb_actions

    def train_on_targets(self, actions: np.ndarray, states: list[np.ndarray], targets: np.ndarray) -> list[float]:
        """Train on actions [B, nb_actions], states [B, W, *part], an array for each input, and returns [B].

        Returns loss and metrics.
        """
        network = self._network
        network.take_over()
        result: list[float] = network.calls("targets", self._train_on_targets, [actions, *states, targets]).tolist()
        network.have_changed()
        return result

    def _train_on_targets(self, actions: tf.Tensor, *rest: tf.Tensor) -> tf.Tensor:
        *states, targets = rest
        return tf.stack(self._descend(states, actions, targets)[0])

    def _update_once(self, phase: Hashable, batch: Transitions) -> tuple[list[tf.Tensor], tf.Tensor]:
        before = self._network.weights()  # read first, as in the update of a deep Q-network
        values = tf.cast(self._network.forward_target(batch.states1), tf.float32)[:, 0]
        returns = batch.rewards + batch.discounts * values
        return self._descend(batch.states0, batch.actions, returns, before, *batch.weights)

    def _descend(
        self,
        states: list[tf.Tensor],
        actions: tf.Tensor,
        returns: tf.Tensor,
        before: list[tf.Tensor] | None = None,
        *weights: tf.Tensor,
    ) -> tuple[list[tf.Tensor], tf.Tensor]:
        targets = tf.reshape(returns, [-1, 1])
        seen: list[tf.Tensor] = []

        def loss_of(output: tf.Tensor) -> tf.Tensor:
            q_values = tf.cast(output, tf.float32)
            seen[:] = [q_values]
            losses = huber_loss(targets - q_values, self._delta_clip)[:, 0]
            for importance in weights:
                losses = importance * losses
            return tf.reduce_mean(losses)

        actions = tf.reshape(tf.cast(actions, tf.float32), [-1, self._nb_actions])
        loss = self._network.descend([actions, *states], loss_of, before)
        if self._tau is not None:
            self._network.move_target(self._tau)
        return [loss, *self._metrics.results(targets, seen[0])], (targets - seen[0])[:, 0]
