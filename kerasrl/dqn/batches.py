"""Samples of the replay memory as the arrays that an update takes."""

import itertools
from typing import Any, NamedTuple

import numpy as np

from kerasrl.dqn.inputs import ModelInputs
from kerasrl.dqn.memory import SequentialMemory
from kerasrl.dqn.transitions import Transitions


class Batch(NamedTuple):
    """What `Learner.update` takes of n transitions, and where they are from."""

    states0: list[np.ndarray]
    states1: list[np.ndarray]
    rest: list[np.ndarray]  # actions, rewards, discounts and, if the memory has them, weights; each [n]
    rows: np.ndarray | None  # [n], in a memory with priorities


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

    def draw(self, memory: Any, observation: Any) -> Batch:
        """Return transitions as `Learner.update` takes them.

        Args:
            memory: kerasrl.SequentialMemory, or a memory of Keras-RL's own.
            observation: Any observation, which shows how its parts belong to the model's inputs.
        """
        if not isinstance(memory, SequentialMemory):
            experiences = [e for _ in range(self._nb_batches) for e in memory.sample(self._batch_size)]
            states = [e.state0 for e in experiences], [e.state1 for e in experiences]
            rest = [
                np.array([e.action for e in experiences]),
                np.array([e.reward for e in experiences], np.float32),
                self._gamma * ~np.array([e.terminal1 for e in experiences], np.bool_),
            ]
            return self._of_states(*states, rest, None)
        if not self._inputs.are_processed:
            sample = memory.draw(self._batch_size, self._nb_batches, self._n_step, self._gamma)
            return Batch(self._inputs.ordered(sample.frames, observation), [], *_rest(sample))
        samples = [memory.draw(self._batch_size, 1, self._n_step, self._gamma) for _ in range(self._nb_batches)]
        before, after = zip(*map(memory.states, samples), strict=True)
        arrays = [np.concatenate(parts) for parts in zip(*map(_columns, samples), strict=True)]
        states = list(itertools.chain(*before)), list(itertools.chain(*after))
        return self._of_states(*states, *_rest(Transitions([], *arrays)))

    def _of_states(self, before: list[Any], after: list[Any], rest: list[Any], rows: np.ndarray | None) -> Batch:
        return Batch(self._inputs.of_states(before), self._inputs.of_states(after), rest, rows)


def _columns(sample: Transitions) -> list[np.ndarray]:
    """Return all but the frames."""
    return [array for array in sample[1:] if array is not None]


def _rest(sample: Transitions) -> tuple[list[np.ndarray], np.ndarray | None]:
    """Return what a batch holds besides states."""
    rest = [sample.actions, sample.rewards, sample.discounts]
    return (rest if sample.weights is None else [*rest, sample.weights]), sample.rows


def why_not_finite(states: list[np.ndarray], rewards: np.ndarray) -> str:
    """Say what makes the loss of a batch something else than a finite number, and what to do."""
    if all(np.isfinite(array).all() for array in (*states, rewards)):
        largest = np.abs(rewards).max()
        return f"lower the learning rate or scale down the rewards (the largest of this batch is {largest:g})"
    return "the environment gave an observation or a reward that is not a finite number"
