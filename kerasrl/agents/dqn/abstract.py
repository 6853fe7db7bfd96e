"""What Keras-RL's AbstractDQNAgent is: the arguments that its agents of Q-values share."""

from typing import Any

import rl.agents.dqn

from kerasrl.agents.replay_agent import ReplayAgent
from kerasrl.agents.state_batches import QValues


class AbstractDQNAgent(ReplayAgent, QValues, rl.agents.dqn.AbstractDQNAgent):
    """Keras-RL's AbstractDQNAgent, which a subclass of DQNAgent may call past DQNAgent's own constructor."""

    enable_double_dqn = enable_dueling_network = False

    def __init__(self, *args: Any, metadata: dict[str, Any] | None = None, **kwargs: Any) -> None:
        self._begin(metadata)
        rl.agents.dqn.AbstractDQNAgent.__init__(self, *args, **kwargs)
