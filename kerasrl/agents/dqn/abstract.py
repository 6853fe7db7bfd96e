"""What Keras-RL's AbstractDQNAgent is: the arguments that its agents of Q-values share."""

from typing import Any

import numpy as np
import rl.agents.dqn

from kerasrl.agents.replay_agent import ReplayAgent


class AbstractDQNAgent(ReplayAgent, rl.agents.dqn.AbstractDQNAgent):
    """Keras-RL's AbstractDQNAgent, which a subclass of DQNAgent may call past DQNAgent's own constructor."""

    enable_double_dqn = enable_dueling_network = False

    def __init__(self, *args: Any, metadata: dict[str, Any] | None = None, **kwargs: Any) -> None:
        self._begin(metadata)
        rl.agents.dqn.AbstractDQNAgent.__init__(self, *args, **kwargs)

    def compute_batch_q_values(self, state_batch: list[Any]) -> np.ndarray:
        """Return the Q-values [B, nb_actions] of a list of states."""
        return self._network.output(self.states(state_batch))

    def compute_q_values(self, state: list[Any]) -> np.ndarray:
        """Return the Q-values [nb_actions] of one state, a list of observations."""
        q_values: np.ndarray = self.compute_batch_q_values([state])[0]
        return q_values
