"""The memory of an agent that searches for parameters: what each episode was played with, and what it earned."""

from collections import deque
from typing import Any

import rl.memory

from kerasrl.errors import UserError


class EpisodeParameterMemory(rl.memory.EpisodeParameterMemory):
    """Keras-RL's memory for CEMAgent: parameters and total rewards of the last `limit` episodes.

    In Keras-RL an episode that the end of a `fit` cuts off lends its rewards to the first episode of the next one, and
    `get_config` fails.

    Args:
        limit: Number of episodes to keep.
        window_length: Number of consecutive observations that make a state.
        ignore_episode_boundaries: Let states reach back into the episode before.

    Attributes:
        params: Parameters of each episode, an array [nb_weights].
        total_rewards: The sum of each episode's rewards.
        intermediate_rewards: The rewards of the present episode.

    Raises:
        UserError: window_length or limit is too small.
    """

    def __init__(self, limit: int, window_length: int = 1, ignore_episode_boundaries: bool = False) -> None:
        for name, value in (("limit", limit), ("window_length", window_length)):
            if value < 1:
                raise UserError(f"{name} must be at least 1, not {value}")
        super().__init__(int(limit), window_length=window_length, ignore_episode_boundaries=ignore_episode_boundaries)
        self.nb_appended = 0  # episodes ever stored

    def append(
        self, observation: Any, action: Any, reward: Any, terminal: bool, training: bool = True, truncated: bool = False
    ) -> None:
        """Add a reward to the present episode's, however it ends; without `training`, only see the observation."""
        super().append(observation, action, reward, terminal, training=training)

    def finalize_episode(self, params: Any) -> None:
        """End the present episode, which was played with `params`."""
        super().finalize_episode(params)
        self.nb_appended += 1

    def truncate_episode(self, observation: Any) -> None:
        """Forget the present episode, which will not come to its end."""
        self.intermediate_rewards: list[float] = []
        self.recent_observations.clear()
        self.recent_terminals.clear()

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        return {**rl.memory.Memory.get_config(self), "limit": self.limit}

    # For `TrainingState`

    def get_state(self) -> dict[str, Any]:
        """Return everything."""
        return {
            **{name: getattr(self, name) for name in ("limit", "window_length", "nb_appended")},
            **{name: list(getattr(self, name)) for name in ("params", "total_rewards", "intermediate_rewards")},
            "recent_observations": list(self.recent_observations),
            "recent_terminals": [bool(terminal) for terminal in self.recent_terminals],
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Continue from what `get_state` returned; `UserError` if that was a memory with other arguments."""
        for name in ("limit", "window_length"):
            if state.get(name) != getattr(self, name):
                raise UserError(
                    f"the memory to resume with has {name} {state.get(name)!s:.60}, this one {getattr(self, name)}"
                )
        self.nb_appended = state["nb_appended"]
        self.params, self.total_rewards = (deque(state[name], self.limit) for name in ("params", "total_rewards"))
        self.intermediate_rewards = list(state["intermediate_rewards"])
        self.recent_observations.extend(state["recent_observations"])
        self.recent_terminals.extend(state["recent_terminals"])
