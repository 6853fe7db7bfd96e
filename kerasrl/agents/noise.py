"""Keras-RL's noise for exploration, where its releases differ."""

from typing import Any

import numpy as np
import rl.random


class OrnsteinUhlenbeckProcess(rl.random.OrnsteinUhlenbeckProcess):
    """Noise that drifts back to `mu` (Uhlenbeck and Ornstein 1930), as in Keras-RL.

    Args:
        args, kwargs: Arguments of rl.random.OrnsteinUhlenbeckProcess: theta, mu, sigma, dt, size, ...
        x0: Where each episode begins: keras-rl 0.4.2 began at 0 by default; None begins at random, as keras-rl2 does.
    """

    def __init__(self, *args: Any, x0: Any = None, **kwargs: Any) -> None:
        self.x0 = x0
        super().__init__(*args, **kwargs)

    def reset_states(self) -> None:
        """Begin anew."""
        if self.x0 is None:
            super().reset_states()
        else:
            self.x_prev = np.zeros(self.size) + self.x0
