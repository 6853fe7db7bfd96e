"""The update of an actor and its critic, in one compiled TensorFlow call for each training step."""

from collections.abc import Callable, Hashable
from typing import Any

import numpy as np
import tensorflow as tf

from kerasrl.learning import BatchUpdate, Metrics, Trainable, Transitions
from kerasrl.learning.updates import huber_loss

CriticInputs = Callable[[list[Any], Any], list[Any]]


class Update(BatchUpdate):
    """Trains a critic on batches of transitions, and an actor to choose what the critic values (Lillicrap et al. 2015).

    The actor follows the gradient of the critic that has just been trained. Weights of transitions multiply the
    critic's losses alone, as in Barth-Maron et al. 2018.

    The phase of a call is (whether it trains the critic, whether it trains the actor). Without the critic the first
    metric is the actor's loss; the others, and the errors, are 0.

    Args:
        actor: From states to actions.
        critic: From states and actions to values, one for each.
        critic_inputs: Returns the critic's inputs for the actor's inputs and actions [n, nb_actions].
        metrics: Metrics of (targets, values), both [B, 1].
        options: Those of `BatchUpdate`.
    """

    def __init__(
        self, actor: Trainable, critic: Trainable, critic_inputs: CriticInputs, metrics: Metrics, **options: Any
    ) -> None:
        super().__init__([actor, critic], metrics, **options)
        self._actor, self._critic, self._critic_inputs = actor, critic, critic_inputs

    def train_critic(self, inputs: list[np.ndarray], targets: np.ndarray) -> list[float]:
        """Train the critic on an array [B, ...] for each of its inputs and targets [B, 1]; return loss and metrics."""
        self._critic.take_over()
        result: list[float] = self._critic.calls("targets", self._train_critic, [*inputs, targets]).tolist()
        self._critic.have_changed()
        return result

    def train_actor(self, states: list[np.ndarray]) -> np.ndarray:
        """Train the actor on an array [B, ...] for each of its inputs; return its actions [B, ...] before that."""
        self._actor.take_over()
        self._critic.take_over()
        actions = self._actor.calls("states", self._train_actor, states)
        self._actor.have_changed()
        return actions

    def _train_critic(self, *arrays: tf.Tensor) -> tf.Tensor:
        *inputs, targets = arrays
        return tf.stack(self._descend_critic(inputs, targets)[0])

    def _train_actor(self, *states: tf.Tensor) -> tf.Tensor:
        actions = self._actor.forward([*states])
        with tf.control_dependencies([actions]):
            self._descend_actor([*states])
        return actions

    def _update_once(self, phase: Hashable, batch: Transitions) -> tuple[list[tf.Tensor], tf.Tensor]:
        assert isinstance(phase, tuple)
        trains_critic, trains_actor = phase
        actor, critic, inputs = self._actor, self._critic, self._critic_inputs
        actor_weights, critic_weights = actor.weights(), critic.weights()  # read first, as a deep Q-network's
        known: list[tf.Tensor] = []
        errors = tf.zeros_like(batch.rewards)
        if trains_critic:
            next_actions = actor.forward_target(batch.states1)
            next_values = _column(critic.forward_target(inputs(batch.states1, next_actions), after=next_actions))
            critic_weights = critic.begun_after(next_values, critic_weights)
            targets = (batch.rewards + batch.discounts * next_values[:, 0])[:, None]
            known, errors = self._descend_critic(
                inputs(batch.states0, batch.actions), targets, critic_weights, *batch.weights
            )
            actor_weights = actor.begun_after(known[0], actor_weights)
        if trains_actor:
            loss = self._descend_actor(batch.states0, actor_weights)
            known = known or [loss, *[tf.zeros(())] * len(self._metrics)]
        return known, errors

    def _descend_critic(
        self, inputs: list[Any], targets: tf.Tensor, before: list[tf.Tensor] | None = None, *weights: tf.Tensor
    ) -> tuple[list[tf.Tensor], tf.Tensor]:
        seen: list[tf.Tensor] = []

        def loss_of(output: tf.Tensor) -> tf.Tensor:
            values = _column(output)
            seen[:] = [values]
            losses = huber_loss(targets - values, self._delta_clip)[:, 0]
            for importance in weights:
                losses = importance * losses
            return tf.reduce_mean(losses)

        loss = self._critic.descend(inputs, loss_of, before)
        known = [loss, *self._metrics.results(targets, seen[0])]
        if self._tau is not None:
            self._critic.move_target(self._tau)
        return known, (targets - seen[0])[:, 0]

    def _descend_actor(self, states: list[tf.Tensor], before: list[tf.Tensor] | None = None) -> tf.Tensor:
        def loss_of(chosen: tf.Tensor) -> tf.Tensor:
            return -tf.reduce_mean(_column(self._critic.forward(self._critic_inputs(states, chosen))))

        loss = self._actor.descend(states, loss_of, before)
        if self._tau is not None:
            self._actor.move_target(self._tau)
        return loss


def _column(values: tf.Tensor) -> tf.Tensor:
    """Return the critic's output as float32 values [n, 1]."""
    return tf.reshape(tf.cast(values, tf.float32), [-1, 1])
