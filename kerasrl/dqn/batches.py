"""Samples of the replay memory as the arrays that an update takes."""

from typing import Any

import numpy as np

from kerasrl.dqn.inputs import ModelInputs
from kerasrl.dqn.memory import SequentialMemory
from kerasrl.dqn.transitions import Transitions


class Batches:
    """Draws `nb_batches` batches at a time, one after the other, each as many transitions as `batch_size` says.

    Our memory hands over frames, which both states of a transition may share; a memory of Keras-RL's own, and a
    processor that changes whole states, take the slower way over lists of observations.

    Args:
        inputs: Turns states into the model's inputs.
        batch_size: Transitions in a batch.
        nb_batches: Number of batches.
        n_step: Steps of a transition.
        gamma: Discount factor.
    """

    def __init__(self, inputs: ModelInputs, batch_size: int, nb_batches: int, n_step: int, gamma: float) -> None:
        self._inputs, self._batch_size, self._nb_batches = inputs, batch_size, nb_batches
        self._n_step, self._gamma = n_step, gamma

    def draw(self, memory: Any, observation: Any) -> tuple[list[np.ndarray], list[np.ndarray], list[np.ndarray]]:
        """Return states before and after the actions, and the rest, as `Learner.update` takes them.

        Args:
            memory: kerasrl.SequentialMemory, or a memory of Keras-RL's own.
            observation: Any observation, which shows how its parts belong to the model's inputs.
        """
        if isinstance(memory, SequentialMemory) and not self._inputs.are_processed:
            sample = memory.draw(self._batch_size, self._nb_batches, self._n_step, self._gamma)
            return self._inputs.ordered(sample.frames, observation), [], _rest([sample])
        states0, states1 = [], []
        if isinstance(memory, SequentialMemory):
            samples = [memory.draw(self._batch_size, 1, self._n_step, self._gamma) for _ in range(self._nb_batches)]
            for sample in samples:
                before, after = memory.states(sample)
                states0 += before
                states1 += after
            rest = _rest(samples)
        else:
            experiences = [e for _ in range(self._nb_batches) for e in memory.sample(self._batch_size)]
            states0, states1 = [e.state0 for e in experiences], [e.state1 for e in experiences]
            rest = [
                np.array([e.action for e in experiences]),
                np.array([e.reward for e in experiences], np.float32),
                self._gamma * ~np.array([e.terminal1 for e in experiences], np.bool_),
            ]
        return self._inputs.of_states(states0), self._inputs.of_states(states1), rest


def _rest(samples: list[Transitions]) -> list[np.ndarray]:
    """Return actions, rewards and discounts of all samples."""
    if len(samples) == 1:
        return [samples[0].actions, samples[0].rewards, samples[0].discounts]
    return [np.concatenate(arrays) for arrays in zip(*(sample[1:] for sample in samples), strict=True)]


def why_not_finite(states: list[np.ndarray], rewards: np.ndarray) -> str:
    """Say what makes the loss of a batch something else than a finite number, and what to do."""
    if all(np.isfinite(array).all() for array in (*states, rewards)):
        largest = np.abs(rewards).max()
        return f"lower the learning rate or scale down the rewards (the largest of this batch is {largest:g})"
    return "the environment gave an observation or a reward that is not a finite number"
