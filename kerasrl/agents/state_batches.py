"""Keras-RL's methods between states and what a network makes of them, for the agents that have them."""

from typing import Any

import numpy as np

from kerasrl.agents.base import Agent
from kerasrl.learning import ModelInputs, Trainable


class StateBatches(Agent):
    """An agent whose network takes what its `process_state_batch`, or somebody's own, makes of states."""

    _inputs: ModelInputs  # of the model
    _acts_by = "learner"  # the network's name in training states

    @property
    def _network(self) -> Trainable:
        """The network that an action is chosen by."""
        if not self.compiled:
            raise RuntimeError("the agent has not been compiled yet: call compile() first")
        return self.trainables[self._acts_by]

    def process_state_batch(self, batch: list[Any]) -> Any:
        """Return what the model takes, from a list of states, each a list of observations.

        An array [B, W, *part], or a list of them for a model of several inputs.
        """
        if not self._has_taken_stock:
            self.take_stock()
        arrays = self._inputs.of_states(batch)
        return arrays[0] if len(arrays) == 1 else arrays

    def states(self, batch: list[Any]) -> list[np.ndarray]:
        """Return what `process_state_batch` returns as an array for each input of the model."""
        processed = self.process_state_batch(batch)
        return [processed] if type(processed) is np.ndarray else self._inputs.listed(processed)


class QValues(StateBatches):
    """An agent whose network's output are Q-values."""

    def compute_batch_q_values(self, state_batch: list[Any]) -> np.ndarray:
        """Return the Q-values [B, nb_actions] of a list of states."""
        return self._network.output(self.states(state_batch))

    def compute_q_values(self, state: list[Any]) -> np.ndarray:
        """Return the Q-values [nb_actions] of one state, a list of observations."""
        q_values: np.ndarray = self.compute_batch_q_values([state])[0]
        return q_values
