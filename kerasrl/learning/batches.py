"""Samples of the replay memory as the arrays that an update takes."""

import itertools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import rl.memory
import tensorflow as tf

from kerasrl.errors import UserError
from kerasrl.learning.inputs import ModelInputs
from kerasrl.overrides import overrides
from kerasrl.replay.packed import PackedLayout
from kerasrl.replay.transitions import NothingToDraw


class Batch(NamedTuple):
    """n transitions as a compiled call takes them; there, `unpacked` tells them apart."""

    states: list[np.ndarray]
    """The states before, then those after, or the frames that both share (see `Transitions`), an array [n, ...] for
    each input; or a single array of packed transitions."""
    rest: list[np.ndarray]
    """Actions, rewards, discounts and, from a memory with priorities, weights, each [n], and from one with action masks
    those of the states after [n, nb_actions]; with packed ones gamma [1]."""
    kind: str | PackedLayout
    """'states', 'frames', or what is where in packed transitions."""
    rows: np.ndarray | None = None
    """Where they are in a memory with priorities [n]."""

    def first_state(self, window_length: int) -> list[np.ndarray]:
        """Return the state before the first action, an array [1, W, *part] for each input."""
        if isinstance(self.kind, PackedLayout):
            return [self.states[0][:1, : self.kind.sizes[0]].reshape(1, 1, *self.kind.observation)]
        if self.kind == "frames":
            return [array[:1, :window_length] for array in self.states]
        return [array[:1] for array in self.states[: len(self.states) // 2]]

    def why_not_finite(self) -> str:
        """Say why its loss is not a finite number, and what to do."""
        rewards = self.states[0][:, -2] if isinstance(self.kind, PackedLayout) else self.rest[1]
        return why_not_finite(self.states, rewards)


class Batches:
    """Draws batches of transitions from a memory.

    Our memory hands over packed transitions, or frames, which both states of a transition may share; another memory or
    another way to sample, and a processor that changes whole states, take the slower way over lists of observations.

    Args:
        inputs: Makes a model's inputs of states.
        memory: The memory.
        of_states: What does that instead, if somebody has overridden the agent's `process_state_batch`.
        by_sample: Whether the memory's `sample` has to be called, as Keras-RL calls it.

    Attributes:
        takes_packed: Whether it takes packed transitions of one step, if the memory can pack them.
    """

    def __init__(
        self,
        inputs: ModelInputs,
        memory: Any,
        of_states: Callable[[list[Any]], list[np.ndarray]] | None,
        by_sample: bool,
    ) -> None:
        self._inputs, self._memory, self._by_sample = inputs, memory, by_sample
        self._of_states = of_states or inputs.of_states
        self._takes_frames = not (inputs.are_processed or of_states)
        packs = hasattr(memory, "packed") and not overrides(memory, "draw")
        self.takes_packed = packs and self._takes_frames and not by_sample
        self._is_masked = getattr(memory, "nb_masked", 0) > 0
        self._gamma = np.zeros(1)

    def draw(self, observation: Any, batch_size: int, nb_batches: int, n_step: int, gamma: float) -> Batch:
        """Return `nb_batches` batches of `batch_size` transitions, one after the other.

        Any observation shows which of its parts goes to which of the inputs.

        Raises:
            NothingToDraw: The memory holds no transition.
        """
        memory = self._memory
        if self._by_sample:
            _require_transition(memory)
            drawn = [e for _ in range(nb_batches) for e in _sampled(memory, batch_size)]
            goes_on = ~np.array([bool(e.terminal1) for e in drawn])
            rest = [np.array([e.action for e in drawn]), np.array([e.reward for e in drawn], np.float32)]
            before, after = self._of_states([e.state0 for e in drawn]), self._of_states([e.state1 for e in drawn])
            return Batch([*before, *after], [*rest, gamma * goes_on], "states")
        if self._takes_frames:
            if self.takes_packed and n_step == 1 and (packed := self._packed(observation)) is not None:
                if gamma != self._gamma[0]:
                    self._gamma = np.array([gamma])
                rows = memory.draw_packed(batch_size, nb_batches)
                if self._inputs.normalizer is not None:
                    self._inputs.normalizer.normalize_rows(rows, packed.layout.observation)
                return Batch([rows], [self._gamma], packed.layout)
            sample = memory.draw(batch_size, nb_batches, n_step, gamma)
            rest = [sample.actions, sample.rewards, sample.discounts]
            if sample.weights is not None:
                rest.append(sample.weights)
            if sample.masks is not None or self._is_masked:
                rest.append(_as_floats(sample.masks, memory))
            return Batch(self._inputs.of_parts(sample.frames, observation), rest, "frames", sample.rows)
        samples = [memory.draw(batch_size, 1, n_step, gamma) for _ in range(nb_batches)]
        before, after = (list(itertools.chain(*states)) for states in zip(*map(memory.states, samples), strict=True))
        columns = zip(*[sample[1:] for sample in samples], strict=True)  # without priorities or masks, some are None
        *others, rows, masks = [None if column[0] is None else np.concatenate(column) for column in columns]
        rest = [array for array in others if array is not None]
        if masks is not None or self._is_masked:
            rest.append(_as_floats(masks, memory))
        return Batch([*self._of_states(before), *self._of_states(after)], rest, "states", rows)

    def _packed(self, observation: Any) -> Any:
        """Return the memory's packed transitions; None if it has none, or if their 32 bits are not enough."""
        # The differences of large numbers from a mean: what has 64 bits is normalised as it was given.
        if self._inputs.normalizer is not None and getattr(observation, "itemsize", 8) > 4:
            return None
        return self._memory.packed()


def unpacked(
    kind: str | PackedLayout, tensors: Sequence[tf.Tensor], nb_inputs: int, window_length: int
) -> tuple[list[tf.Tensor], list[tf.Tensor], list[tf.Tensor]]:
    """Return states before and after [n, W, *part], and the rest, from tensors of a `Batch`: its states, its rest."""
    if isinstance(kind, PackedLayout):
        rows, gamma = tensors
        size, nb_actions = kind.sizes
        masked = [kind.nb_masked] if kind.nb_masked else []
        before, after, *masks, actions, reward, goes_on = tf.split(
            rows, [size, size, *masked, nb_actions, 1, 1], axis=1
        )
        states0, states1 = ([tf.reshape(part, [-1, 1, *kind.observation])] for part in (before, after))
        return states0, states1, [tf.reshape(actions, [-1, *kind.action]), reward[:, 0], gamma * goes_on[:, 0], *masks]
    states, rest = list(tensors[:nb_inputs]), list(tensors[nb_inputs:])
    if kind == "frames":
        return [s[:, :window_length] for s in states], [s[:, -window_length:] for s in states], rest
    return states, rest[:nb_inputs], rest[nb_inputs:]


def _as_floats(masks: np.ndarray | None, memory: Any) -> np.ndarray:
    """Return action masks [n, nb_actions] as a compiled call takes them fastest."""
    if masks is None:
        raise UserError(f"{type(memory).__name__}.draw has to return the masks that super().draw returns, too")
    return masks.astype(np.float32)


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
