"""What agents share whose actions are numbers that a random process is added to."""

from typing import Any

import numpy as np

from kerasrl.agents.replay_agent import ReplayAgent
from kerasrl.errors import UserError


class ContinuousAgent(ReplayAgent):
    """An agent with a replay memory that acts by a model from states to actions [B, nb_actions].

    Attributes:
        random_process: rl.random.RandomProcess, whose samples [nb_actions] are added to actions in training, or None.
    """

    output_name = "action"
    _choosing = ("forward", "select_action", "process_state_batch")
    random_process: Any = None

    def reset_states(self) -> None:
        """Forget the recent action and observation, and let the random process start anew."""
        if self.random_process is not None:
            self.random_process.reset_states()
        super().reset_states()

    def select_action(self, state: list[Any]) -> np.ndarray:
        """Return the action [nb_actions] for a state, a list of observations; in training, with noise."""
        return self._choose(self._network.output(self.states([state]))[0])

    def _act_on(self, state: list[Any]) -> Any:
        return self.select_action(state)

    def _choose(self, output: np.ndarray) -> np.ndarray:
        action: np.ndarray = np.array(output, np.float32).reshape(-1)
        if self.training and self.random_process is not None:
            noise = self.random_process.sample()
            if np.shape(noise) != action.shape:
                raise UserError(
                    f"random_process gives noise of shape {np.shape(noise)} for actions of shape {action.shape}: make "
                    f"it with size={self.nb_actions}"
                )
            action += noise
        return action

    def forward(self, observation: Any) -> Any:
        """Choose an action for `observation`; what becomes of it outside does not change what is remembered."""
        action = super().forward(observation)
        self.recent_action = np.array(action)
        return action

    def random_action(self, env: Any) -> Any:
        """Return an action of the environment's as the agent would choose it or, if it has none, one from [-1, 1]."""
        if hasattr(getattr(env, "action_space", None), "sample"):
            action = np.asarray(super().random_action(env))
            if action.size == self.nb_actions and action.dtype.kind in "biuf":
                return action.reshape(-1)
        return np.random.uniform(-1.0, 1.0, self.nb_actions).astype(np.float32)

    def why_unsound(self) -> str:
        """Look also at the action for the state that was seen last, without asking a processor for it again."""
        return super().why_unsound() or self._output_soundness("the actions")

    def parts(self) -> dict[str, Any]:
        """Return the processor and the random process."""
        return {**super().parts(), "random_process": self.random_process}
