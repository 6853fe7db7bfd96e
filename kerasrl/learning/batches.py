"""Samples of the replay memory as the arrays that an update takes."""

import itertools
from typing import Any

import numpy as np

from kerasrl.learning.inputs import ModelInputs

# States before and after, as `Update` takes them; actions, rewards, discounts and, from a memory with
# priorities, weights, each [n]; and their rows [n] in such a memory.
Batch = tuple[list[np.ndarray], list[np.ndarray], list[np.ndarray], np.ndarray | None]


class Batches:
    """Draws `nb_batches` batches of `batch_size` transitions at a time, one after the other.

    Our memory hands over frames, which both states of a transition may share; one of Keras-RL's own, and a processor
    that changes whole states, take the slower way over lists of observations.
    """

    def __init__(self, inputs: ModelInputs, batch_size: int, nb_batches: int, n_step: int, gamma: float) -> None:
        self._inputs, self._batch_size, self._nb_batches = inputs, batch_size, nb_batches
        self._n_step, self._gamma = n_step, gamma

    def draw(self, memory: Any, observation: Any) -> Batch:
        """Return transitions from a memory; any observation shows which of its parts goes to which of the inputs."""
        if not hasattr(memory, "draw"):
            drawn = [memory.sample(self._batch_size) for _ in range(self._nb_batches)]
            before, actions, rewards, after, ends = map(list, zip(*itertools.chain(*drawn), strict=True))
            rest = [np.array(actions), np.array(rewards, np.float32), self._gamma * ~np.array(ends, np.bool_)]
            return self._inputs.of_states(before), self._inputs.of_states(after), rest, None
        if not self._inputs.are_processed:
            sample = memory.draw(self._batch_size, self._nb_batches, self._n_step, self._gamma)
            rest = [sample.actions, sample.rewards, sample.discounts]
            if sample.weights is not None:
                rest.append(sample.weights)
            return self._inputs.ordered(sample.frames, observation), [], rest, sample.rows
        samples = [memory.draw(self._batch_size, 1, self._n_step, self._gamma) for _ in range(self._nb_batches)]
        before, after = (list(itertools.chain(*states)) for states in zip(*map(memory.states, samples), strict=True))
        columns = zip(*[sample[1:] for sample in samples], strict=True)  # without priorities, the last two are None
        *others, rows = [None if column[0] is None else np.concatenate(column) for column in columns]
        rest = [array for array in others if array is not None]
        return self._inputs.of_states(before), self._inputs.of_states(after), rest, rows


def why_not_finite(states: list[np.ndarray], rewards: np.ndarray) -> str:
    """Say why the loss of a batch is not a finite number, and what to do."""
    if all(np.isfinite(array).all() for array in (*states, rewards)):
        largest = np.abs(rewards).max()
        return f"lower the learning rate or scale down the rewards (the largest in this batch is {largest:g})"
    return "the environment gave an observation or a reward that is not a finite number"
