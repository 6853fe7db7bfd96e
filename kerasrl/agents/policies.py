"""An exploration schedule that rl.policy lacks."""

import math
from typing import Any

from rl.policy import LinearAnnealedPolicy

from kerasrl.errors import UserError


class ExponentialAnnealedPolicy(LinearAnnealedPolicy):
    """Anneal an attribute of another policy exponentially with the number of actions taken.

    value(step) = value_min + (value_max - value_min) * exp(-rate * step)

    Args:
        inner_policy: The policy that chooses the action.
        attr: Name of its attribute to set, such as 'eps'.
        value_max: Value at step 0.
        value_min: Value approached.
        value_test: Value outside training.
        rate: Decay per step, positive.
    """

    def __init__(
        self, inner_policy: Any, attr: str, value_max: float, value_min: float, value_test: float, rate: float
    ) -> None:
        super().__init__(inner_policy, attr, value_max, value_min, value_test, nb_steps=None)
        if not rate > 0:
            raise UserError(f"rate must be positive, not {rate}")
        self.rate = rate

    def get_current_value(self) -> float:
        """Return the value for the agent's current step."""
        if not self.agent.training:
            return float(self.value_test)
        return float(self.value_min + (self.value_max - self.value_min) * math.exp(-self.rate * self.agent.step))

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        config: dict[str, Any] = super().get_config()
        del config["nb_steps"]
        return {**config, "rate": self.rate}
