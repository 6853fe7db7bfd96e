"""The update of an actor and its critic, in one compiled TensorFlow call for each training step."""

from collections.abc import Callable, Hashable
from typing import Any

import tensorflow as tf

from kerasrl.learning import BatchUpdate, Metrics, Trainable
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

    def _update_once(
        self,
        phase: Hashable,
        states0: list[tf.Tensor],
        states1: list[tf.Tensor],
        actions: tf.Tensor,
        rewards: tf.Tensor,
        discounts: tf.Tensor,
        *weights: tf.Tensor,
    ) -> tuple[list[tf.Tensor], tf.Tensor]:
        assert isinstance(phase, tuple)
        trains_critic, trains_actor = phase
        actor, critic, inputs = self._actor, self._critic, self._critic_inputs
        before = actor.weights(), critic.weights()  # read first, as in the update of a deep Q-network
        known: list[tf.Tensor] = []
        errors = tf.zeros_like(rewards)
        if trains_critic:
            next_values = _column(critic.forward_target(inputs(states1, actor.forward_target(states1))))
            targets = (rewards + discounts * next_values[:, 0])[:, None]
            seen: list[tf.Tensor] = []

            def loss_of(output: tf.Tensor) -> tf.Tensor:
                values = _column(output)
                seen[:] = [values]
                losses = huber_loss(targets - values, self._delta_clip)[:, 0]
                for importance in weights:
                    losses = importance * losses
                return tf.reduce_mean(losses)

            loss = critic.descend(inputs(states0, actions), loss_of, before[1])
            known = [loss, *self._metrics.results(targets, seen[0])]
            errors = (targets - seen[0])[:, 0]
            if self._tau is not None:
                critic.move_target(self._tau)
        if trains_actor:
            loss = actor.descend(
                states0, lambda chosen: -tf.reduce_mean(_column(critic.forward(inputs(states0, chosen)))), before[0]
            )
            known = known or [loss, *[tf.zeros(())] * len(self._metrics)]
            if self._tau is not None:
                actor.move_target(self._tau)
        return known, errors


def _column(values: tf.Tensor) -> tf.Tensor:
    """Return the critic's output as float32 values [n, 1]."""
    return tf.reshape(tf.cast(values, tf.float32), [-1, 1])
