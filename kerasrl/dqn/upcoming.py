"""What is known in advance of the observation that the agent will act on next."""

from typing import Any

import numpy as np

from kerasrl.dqn.networks import Networks


class Upcoming:
    """The observation to act on next, which the call that trains also values.

    Attributes:
        observation: None while it is not known.
        state: Its state as the model sees it, an array [1, W, *part] for each input; None if it was not valued.
        q_values: Its Q-values [nb_actions]; None if somebody may have changed the weights since.
    """

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Know nothing any more."""
        self.observation: Any = None
        self.state: list[np.ndarray] | None = None
        self.q_values: np.ndarray | None = None

    def is_state_of(self, observation: Any) -> bool:
        """Tell whether `state` is that of `observation`."""
        return self.state is not None and observation is self.observation

    def values(self, networks: Networks) -> np.ndarray:
        """Return the Q-values [nb_actions] of `state`."""
        if self.q_values is None:
            self.q_values = networks.learner().q_values(self.state or [])[0]
        return self.q_values
