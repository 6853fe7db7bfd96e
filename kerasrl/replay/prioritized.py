"""Prioritised experience replay."""

from typing import Any

import numpy as np

from kerasrl.errors import UserError
from kerasrl.replay.sequential import SequentialMemory
from kerasrl.replay.sum_tree import SumTree
from kerasrl.replay.transitions import NothingToDraw, Transitions


class PrioritizedMemory(SequentialMemory):
    """The last `limit` steps, sampled in proportion to priorities: Schaul et al. 2016, the proportional variant.

    A transition is drawn with probability p^alpha / sum of all p^alpha, one from each of `batch_size` equal parts of
    that sum. p is |error| + epsilon, where the error is the (unclipped) temporal-difference error when it was last
    learned from; until then, p is the largest so far. Its loss is weighted by (its probability * number of
    transitions)^-beta, divided by the largest weight in the batch.

    Batches drawn at once are all drawn with the same priorities; a transition that is in several of them gets its
    priority from the last.

    Args:
        limit, window_length, ignore_episode_boundaries, seed: As for `SequentialMemory`.
        alpha: How much priorities count, from 0 (not at all: uniform) to 1. The paper has 0.6.
        beta: How much of the bias the weights correct at the beginning, from 0 to 1. The paper has 0.4.
        beta_end: ... and at the end.
        nb_steps_annealed: Number of stored steps at which the end is reached.
        epsilon: Added to the size of an error, from 1e-30 to 1e30.

    Raises:
        UserError: An argument cannot be used.
    """

    is_weighted = True
    _arguments = ("limit", "window_length", "alpha", "beta", "beta_end", "nb_steps_annealed", "epsilon")

    def __init__(
        self,
        limit: int,
        window_length: int = 1,
        alpha: float = 0.6,
        beta: float = 0.4,
        beta_end: float = 1.0,
        nb_steps_annealed: int = 50_000,
        epsilon: float = 1e-6,
        ignore_episode_boundaries: bool = False,
        seed: int | None = None,
    ) -> None:
        super().__init__(limit, window_length, ignore_episode_boundaries, seed)
        if not 0 <= alpha <= 1:
            raise UserError(f"alpha must be between 0 and 1, not {alpha}")
        if not 0 <= beta <= beta_end <= 1:
            raise UserError(f"0 <= beta <= beta_end <= 1 must hold; beta is {beta}, beta_end {beta_end}")
        if nb_steps_annealed < 1:
            raise UserError(f"nb_steps_annealed must be at least 1, not {nb_steps_annealed}")
        if not 1e-30 <= epsilon <= 1e30:  # about as far as 32 bits go
            raise UserError(f"epsilon must be between 1e-30 and 1e30, not {epsilon}")
        self.alpha, self.beta, self.beta_end, self.nb_steps_annealed = alpha, beta, beta_end, nb_steps_annealed
        self.epsilon, self._alpha, self._epsilon = epsilon, np.float32(alpha), np.float32(epsilon)
        self._tree = SumTree(limit)  # p^alpha of each row; 0 where no transition begins
        self._largest = 1.0  # of all p^alpha so far
        self._first = self._end = window_length  # the steps [first, end) have been put into the tree

    @property
    def current_beta(self) -> float:
        """Exponent of the weights, annealed with the number of steps ever stored."""
        return self.beta + (self.beta_end - self.beta) * min(1.0, self.nb_appended / self.nb_steps_annealed)

    def draw(self, batch_size: int, nb_batches: int = 1, n_step: int = 1, gamma: float = 1.0) -> Transitions:
        """Return `nb_batches` samples of `batch_size` transitions, one after the other, as in the base class."""
        if self.nb_entries < self.window_length + 1 + n_step:
            raise UserError(f"{self.nb_entries} steps are stored; a sample needs {self.window_length + 1 + n_step}")
        self._bring_up_to_date(n_step)
        rows = self._tree.draw(self.rng, batch_size, nb_batches)
        if rows is None:
            raise NothingToDraw
        priorities = self._tree.numbers.take(rows)
        if nb_batches == 1:
            smallest = priorities.min()
        else:
            smallest = priorities.reshape(nb_batches, batch_size).min(axis=1).repeat(batch_size)
        # The number of transitions and the sum of the priorities cancel out.
        weights = (smallest / priorities) ** self.current_beta
        sample = self._gather(rows, n_step, gamma)
        return sample._replace(weights=weights, rows=rows)

    def update_priorities(self, rows: np.ndarray, errors: np.ndarray) -> None:
        """Set the priorities of transitions from their temporal-difference errors, before another step is stored.

        Args:
            rows: `Transitions.rows` of a sample [n]; if a row occurs twice, its last error counts.
            errors: Temporal-difference errors, finite [n].
        """
        # In 32 bits, like the errors, so that 4 bytes are enough in a training state.
        priorities = (np.abs(errors, dtype=np.float32) + self._epsilon) ** self._alpha
        self._tree.put(rows, priorities)
        self._largest = max(self._largest, float(priorities.max()))

    def bytes_per_step(self, packs: bool = False) -> float:
        """Return how many bytes a step takes with its priority, as in the base class."""
        return super().bytes_per_step(packs) + SumTree.BYTES

    def _bring_up_to_date(self, n_step: int) -> None:
        """Give a priority to each step whose transition is complete by now, and take it from those overwritten.

        All steps stored since the last draw get the largest priority, which has not grown in the meantime.
        """
        put, limit = self._tree.put_one, self.limit
        first = max(0, self.nb_appended - limit) + self.window_length
        end = self.nb_appended - n_step
        for step in range(max(end, self._first), self._end):  # the last draw had a smaller n_step: these wait again
            put(step % limit, 0.0)
        for step in range(self._first, min(first, self._end)):
            put(step % limit, 0.0)
        for step in range(max(self._end, first), end):
            is_reset = self._terminals[(step - 1) % limit]
            put(step % limit, 0.0 if is_reset else self._largest)
        self._first, self._end = first, end

    # For `TrainingState`

    def get_state(self) -> dict[str, Any]:
        """Return everything but the stored steps, with 4 bytes for the priority of each."""
        priorities = {"priorities": self._tree.numbers[: self.nb_entries].astype(np.float32), "largest": self._largest}
        return {**super().get_state(), **priorities, "first": self._first, "end": self._end}

    def set_state(self, state: dict[str, Any]) -> None:
        """Continue from what `get_state` returned, as in the base class; ValueError if it cannot be right."""
        super().set_state(state)
        priorities, largest, first, end = (state[name] for name in ("priorities", "largest", "first", "end"))
        is_sound = (
            priorities.shape == (self.nb_entries,)
            and np.isfinite(priorities).all()
            and not (priorities < 0).any()
            and 0 < largest < np.inf
            and self.window_length <= first <= end <= max(first, self.nb_appended)
            and end - first <= self.limit
        )
        if not is_sound:
            raise ValueError("invalid priorities")
        numbers = np.zeros(self.limit)
        numbers[: len(priorities)] = priorities
        self._tree.put_all(numbers)
        self._largest, self._first, self._end = largest, first, end
