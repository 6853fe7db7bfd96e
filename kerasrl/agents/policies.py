"""An exploration schedule that rl.policy lacks, and Keras-RL's own policies in fewer calls."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from rl.policy import EpsGreedyQPolicy, GreedyQPolicy, LinearAnnealedPolicy

from kerasrl.errors import UserError
from kerasrl.overrides import overrides


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


def selecting(policy: Any) -> Callable[[np.ndarray], Any]:
    """Return what chooses an action by Q-values [nb_actions] as `policy.select_action(q_values=...)` does.

    For what is exactly Keras-RL's own it draws the same numbers in less time: an array's own `argmax` takes 0.2
    microseconds and NumPy's function 1.1, `random_sample` 0.2 and `uniform` 1.2.
    """
    if overrides(policy, "select_action"):
        return lambda q_values: policy.select_action(q_values=q_values)
    if type(policy) is GreedyQPolicy:
        return lambda q_values: q_values.argmax()
    if type(policy) is EpsGreedyQPolicy:
        return lambda q_values: (
            np.random.randint(0, len(q_values)) if np.random.random_sample() < policy.eps else q_values.argmax()
        )
    if isinstance(policy, LinearAnnealedPolicy):
        inner = policy.inner_policy
        select = selecting(inner)

        def annealed(q_values: np.ndarray) -> Any:
            if policy.inner_policy is not inner:
                return policy.select_action(q_values=q_values)
            setattr(inner, policy.attr, policy.get_current_value())
            return select(q_values)

        return annealed
    return lambda q_values: policy.select_action(q_values=q_values)
