"""Keras-RL's first annealed policy."""

from typing import Any

from rl.policy import EpsGreedyQPolicy, LinearAnnealedPolicy

from kerasrl.legacy.notes import notes


class AnnealedQPolicy(LinearAnnealedPolicy):
    """LinearAnnealedPolicy under the name of keras-rl 0.1; before that it was epsilon-greedy and needed no arguments.

    Args:
        inner_policy: The policy that chooses the action; epsilon-greedy by default.
        attr: Name of its attribute to set.
        value_max: Value at step 0.
        value_min: Value from step `nb_steps` on.
        value_test: Value outside training.
        nb_steps: Steps until `value_min` is reached.
        nb_annealing_steps: Another name for `nb_steps`.
    """

    def __init__(
        self,
        inner_policy: Any = None,
        attr: str = "eps",
        value_max: float = 1.0,
        value_min: float = 0.1,
        value_test: float = 0.05,
        nb_steps: int = 10_000,
        nb_annealing_steps: int | None = None,
    ) -> None:
        notes.translated("AnnealedQPolicy -> LinearAnnealedPolicy")
        inner_policy = EpsGreedyQPolicy() if inner_policy is None else inner_policy
        super().__init__(inner_policy, attr, value_max, value_min, value_test, nb_annealing_steps or nb_steps)
