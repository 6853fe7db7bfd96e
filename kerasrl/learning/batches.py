"""Samples of the replay memory as the arrays that an update takes."""

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import rl.memory

from kerasrl.errors import UserError
from kerasrl.learning.inputs import ModelInputs
from kerasrl.replay.transitions import NothingToDraw

# States before and after, as `Update` takes them; actions, rewards, discounts and, from a memory with
# priorities, weights, each [n]; and their rows [n] in such a memory.
Batch = tuple[list[np.ndarray], list[np.ndarray], list[np.ndarray], np.ndarray | None]


class Batches:
    """Draws batches of transitions from a memory.

    Our memory hands over frames, which both states of a transition may share; another memory or another way to sample,
    and a processor that changes whole states, take the slower way over lists of observations.

    Args:
        inputs: Makes a model's inputs of states.
        of_states: What does that instead, if somebody has overridden the agent's `process_state_batch`.
        by_sample: Whether the memory's `sample` has to be called, as Keras-RL calls it.
    """

    def __init__(
        self, inputs: ModelInputs, of_states: Callable[[list[Any]], list[np.ndarray]] | None, by_sample: bool
    ) -> None:
        self._inputs, self._by_sample = inputs, by_sample
        self._of_states = of_states or inputs.of_states
        self._takes_frames = not (inputs.are_processed or of_states)

    def draw(self, memory: Any, observation: Any, batch_size: int, nb_batches: int, n_step: int, gamma: float) -> Batch:
        """Return `nb_batches` batches of `batch_size` transitions, one after the other.

        Any observation shows which of its parts goes to which of the inputs.

        Raises:
            NothingToDraw: The memory holds no transition.
        """
        if self._by_sample:
            _require_transition(memory)
            drawn = [e for _ in range(nb_batches) for e in _sampled(memory, batch_size)]
            goes_on = ~np.array([bool(e.terminal1) for e in drawn])
            rest = [np.array([e.action for e in drawn]), np.array([e.reward for e in drawn], np.float32)]
            before, after = self._of_states([e.state0 for e in drawn]), self._of_states([e.state1 for e in drawn])
            return before, after, [*rest, gamma * goes_on], None
        if self._takes_frames:
            sample = memory.draw(batch_size, nb_batches, n_step, gamma)
            rest = [sample.actions, sample.rewards, sample.discounts]
            if sample.weights is not None:
                rest.append(sample.weights)
            return self._inputs.ordered(sample.frames, observation), [], rest, sample.rows
        samples = [memory.draw(batch_size, 1, n_step, gamma) for _ in range(nb_batches)]
        before, after = (list(itertools.chain(*states)) for states in zip(*map(memory.states, samples), strict=True))
        columns = zip(*[sample[1:] for sample in samples], strict=True)  # without priorities, the last two are None
        *others, rows = [None if column[0] is None else np.concatenate(column) for column in columns]
        rest = [array for array in others if array is not None]
        return self._of_states(before), self._of_states(after), rest, rows


def _sampled(memory: Any, batch_size: int) -> Any:
    experiences = memory.sample(batch_size)
    if len(experiences) != batch_size:
        name = f"{type(memory).__name__}.sample"
        raise UserError(f"{name} gave {len(experiences)} experiences for a batch of {batch_size}")
    return experiences


def _require_transition(memory: Any) -> None:
    """Raise `NothingToDraw` where Keras-RL's memory would look for a transition for ever."""
    if getattr(memory.sample, "__func__", None) is rl.memory.SequentialMemory.sample:
        ends = map(memory.terminals.__getitem__, range(memory.window_length - 1, memory.nb_entries - 2))
        if all(ends):  # what comes after an end is the last observation of the episode
            raise NothingToDraw


def why_not_finite(states: list[np.ndarray], rewards: np.ndarray) -> str:
    """Say why the loss of a batch is not a finite number, and what to do."""
    if all(np.isfinite(array).all() for array in (*states, rewards)):
        largest = np.abs(rewards).max()
        return f"lower the learning rate or scale down the rewards (the largest in this batch is {largest:g})"
    return "the environment gave an observation or a reward that is not a finite number"
