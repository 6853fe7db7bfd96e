"""The update of SARSA's network, in one compiled TensorFlow call with the Q-values that the next action needs."""

import numpy as np
import tensorflow as tf

from kerasrl.agents.dqn.update import Update
from kerasrl.learning import Metrics, Trainable


class OnPolicyUpdate(Update):
    """Trains a Q-network on targets for the actions that were taken.

    Args:
        network: The network, from states [B, 1, *observation] to Q-values [B, nb_actions].
        metrics: Metrics of (targets, Q-values), both [B, nb_actions]; the targets of other actions are 0.
        delta_clip: Size of the temporal-difference error above which the Huber loss is linear.
    """

    def __init__(self, network: Trainable, nb_actions: int, metrics: Metrics, delta_clip: float) -> None:
        super().__init__(network, nb_actions, metrics, delta_clip=delta_clip, double=False, tau=None)

    def learn(
        self, state: list[np.ndarray], action: int, target: float, following: list[np.ndarray]
    ) -> tuple[list[float], np.ndarray]:
        """Train on one state, the action taken in it and the return it should have.

        Args:
            state: An array [1, 1, *part] for each input.
            action: Index of the action.
            target: The reward and the discounted value of what followed.
            following: The state to act on next, in the same form.

        Returns:
            Loss and metrics, and the Q-values of `following` [nb_actions] after that.
        """
        network = self._network
        mask = np.zeros((1, self._nb_actions), np.float32)
        mask[0, action] = 1.0
        network.take_over()
        result = network.calls("learn", self._learn, [*state, *following, mask * np.float32(target), mask])
        network.have_changed()
        nb_metrics = 1 + len(self._metrics)
        metrics: list[float] = result[:nb_metrics].tolist()
        return metrics, result[nb_metrics:]

    def _learn(self, *arrays: tf.Tensor) -> tf.Tensor:
        *states, targets, mask = arrays
        nb_inputs = self._network.nb_inputs
        known = self._train_on_targets(*states[:nb_inputs], targets, mask)
        q_values = self._network.forward(states[nb_inputs:])[0]
        return tf.concat([known, tf.cast(q_values, tf.float32)], 0)
