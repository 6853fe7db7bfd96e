"""What code calls that was copied from Keras-RL's DDPG: one network is trained at a time."""

from typing import Any

import numpy as np


class TrainsByHand:
    """`critic.train_on_batch` and `actor_train_fn`, which Keras-RL's `backward` calls one after the other."""

    uses_learning_phase = False  # in keras-rl 0.4.2, whether the actor has to be told that it is trained
    trainables: dict[str, Any]
    _by_hand: Any  # what updates the networks
    _next_output: Any

    def actor_train_fn(self, inputs: list[Any]) -> list[np.ndarray]:
        """Train the actor on states, an array for each of its inputs; return a list of its actions before that."""
        states = inputs[: self.trainables["actor"].nb_inputs]  # without a learning phase
        return [self._ready().train_actor([*map(_as_input, states)])]

    def _train_critic_on_batch(self, inputs: list[Any], targets: Any) -> list[float]:
        """Train the critic on an array for each of its inputs and targets [B, 1]; return loss and metrics."""
        metrics: list[float] = self._ready().train_critic([*map(_as_input, inputs)], _as_input(targets).reshape(-1, 1))
        return metrics

    def _ready(self) -> Any:
        self.take_stock()  # type: ignore[attr-defined]
        self._next_output = None
        return self._by_hand


def _as_input(array: Any) -> np.ndarray:
    found: np.ndarray = np.asarray(array)
    return found.astype(np.float32) if found.dtype.kind in "fO" else found
