"""A replay memory in preallocated arrays, a drop-in replacement for Keras-RL's `SequentialMemory`."""

from typing import Any

import numpy as np
import rl.memory

from kerasrl import seeds
from kerasrl.errors import UserError
from kerasrl.replay.columns import Column, Frames, as_given, resized
from kerasrl.replay.masks import MaskedSteps
from kerasrl.replay.packed import PackedLayout, PackedTransitions
from kerasrl.replay.stored import StoredSteps
from kerasrl.replay.transitions import NothingToDraw, Transitions, spans

_MOST_ACTIONS = 2**16  # in a mask that a file brings


class SequentialMemory(StoredSteps, MaskedSteps, rl.memory.SequentialMemory):
    """The last `limit` steps, sampled uniformly, as in `rl.memory.SequentialMemory`.

    Steps are kept in arrays instead of deques, whose middle is slow to reach, and sampling is vectorised. A step at
    which a time limit ends the episode (`truncated`) separates episodes like any other end, but its next state keeps
    its value. Actions and rewards are numbers or arrays, all of the same shape, and stored exactly as given.

    Args:
        limit: Number of steps to keep; a DQNAgent needs at least window_length + 3.
        window_length: Number of consecutive observations that make a state.
        ignore_episode_boundaries: Let states reach back into the episode before.
        seed: Seed of the generator that draws samples; by default one from the operating system.

    Raises:
        UserError: window_length or limit is too small.
    """

    is_truncated = False  # whether a time limit ends the next step's episode, for an `append` that does not tell
    is_weighted = False  # whether what `draw` returns has weights, and `update_priorities` takes errors
    _arguments: tuple[str, ...] = ("limit", "window_length")  # that a memory to resume with must share

    def __init__(
        self, limit: int, window_length: int = 1, ignore_episode_boundaries: bool = False, seed: int | None = None
    ) -> None:
        if window_length < 1:
            raise UserError(f"window_length must be at least 1, not {window_length}")
        if limit < 1:
            raise UserError(f"limit must be at least 1, not {limit}")
        # Past rl.memory.SequentialMemory.__init__, which allocates its deques.
        rl.memory.Memory.__init__(self, window_length, ignore_episode_boundaries)
        self.limit = limit = int(limit)  # scripts of Python 2 write 1e5
        self.rng = np.random.default_rng(seed)
        if seed is not None:
            seeds.mark(self)
        self._make_columns()
        self._copies: dict[str, tuple[int, np.ndarray]] = {}
        self._terminals = np.zeros(limit, np.bool_)  # the episode ended after this step
        self._terminated = np.zeros(limit, np.bool_)  # ... and not by a time limit
        self.nb_appended = 0  # steps ever stored
        self._offsets = np.arange(1 - window_length, 2)  # of a transition's observations from its first step

    def _make_columns(self) -> None:
        self._frames = Frames(self.limit)
        self._actions = Column("action", self.limit, np.int64)
        self._rewards = Column("reward", self.limit, np.float64)
        self._packed: PackedTransitions | None = None  # from the first draw of packed ones
        self._masks = None

    def keep_masks(self, nb_actions: int) -> None:
        """Keep masks from now on, as in the base class."""
        if not self.nb_masked:
            self._packed = None
        super().keep_masks(nb_actions)

    def seed(self, seed: int) -> None:
        """Seed the generator that draws samples."""
        seeds.mark(self)
        self.rng = np.random.default_rng(seed)

    @property
    def nb_entries(self) -> int:
        """Number of steps stored."""
        return min(self.nb_appended, self.limit)

    def append(
        self, observation: Any, action: Any, reward: Any, terminal: bool, training: bool = True, truncated: bool = False
    ) -> None:
        """Store that `action` in `observation` gave `reward` and, if `terminal`, ended the episode.

        `truncated` says that a time limit ended it. Without `training` the observation only becomes part of the recent
        state. Raises `UserError` for anything but numbers, or if a shape differs from the first one's.
        """
        self.recent_observations.append(observation)
        self.recent_terminals.append(terminal)
        if not training:
            return
        row = self.nb_appended % self.limit
        self._frames.put(row, observation)
        self._actions.put(row, action)
        self._rewards.put(row, reward)
        self._terminals[row] = terminal
        self._terminated[row] = terminated = terminal and not (truncated or self.is_truncated)
        if self._masks is not None:
            self._masks[row] = True if self.action_mask is None else self.action_mask
        if self._packed is not None:
            self._packed.put(row, self._frames.arrays[0][row], action, reward, not terminated, self._masks)
        self.nb_appended += 1

    def truncate_episode(self, observation: Any) -> None:
        """End the current episode before `observation`, which was seen but not acted on."""
        last = (self.nb_appended - 1) % self.limit
        self._copies.clear()
        if self.nb_appended and not self._terminals[last]:
            self._terminals[last] = True
            self.append(observation, self._actions.blank(), self._rewards.blank(), False)
        self.recent_observations.clear()
        self.recent_terminals.clear()

    def draw(self, batch_size: int, nb_batches: int = 1, n_step: int = 1, gamma: float = 1.0) -> Transitions:
        """Return `nb_batches` uniform samples of `batch_size` transitions, one after the other.

        Within a batch no transition is drawn twice as long as enough are stored (but see `_skip_resets`). The newest
        `n_step - 1` steps are not drawn, since some of their rewards may not be known yet. Raises `UserError` if too
        few steps are stored, `NothingToDraw` if none of them begins a transition.

        Args:
            batch_size: Transitions in a batch.
            nb_batches: Number of batches.
            n_step: Steps of a transition: its reward is the sum of that many, and its next state the one after them;
                fewer where the episode ends.
            gamma: Discount factor of rewards and of the state after them.
        """
        return self._gather(self._draw_rows(batch_size, nb_batches, n_step) + 1, n_step, gamma)

    def draw_packed(self, batch_size: int, nb_batches: int = 1) -> np.ndarray:
        """Return the transitions of one step that `draw` would return as rows of `packed`, which must not be None."""
        assert self._packed is not None
        return self._packed.array.take(self._draw_rows(batch_size, nb_batches, 1), 0, mode="wrap")

    def packed(self) -> PackedTransitions | None:
        """Return the transitions as rows of numbers, kept up to date from now on; None if they are no small vectors."""
        if self._packed is None and self.nb_entries > 2 and (layout := self._packed_layout()) is not None:
            observations, actions, rewards = self._frames.arrays[0], self._actions.array, self._rewards.array
            self._packed = PackedTransitions(self.limit, layout)
            rows = np.arange(self.nb_entries)
            values = observations[rows], actions[rows], rewards[rows], ~self._terminated[rows]
            self._packed.put(rows, *values, self._masks)
        return self._packed

    def _packed_layout(self) -> PackedLayout | None:
        """Return the layout of packed transitions, None if those that are stored cannot be packed."""
        if self.window_length > 1 or self.is_weighted or len(self._frames.arrays) != 1 or self._rewards.array.ndim > 1:
            return None
        (observations,) = self._frames.arrays
        layout = PackedLayout(observations.shape[1:], self._actions.array.shape[1:], self.nb_masked)
        return layout if layout.is_packable(observations.dtype) else None

    def bytes_per_step(self, packs: bool = False) -> float:
        """Return how many bytes a step takes, as those stored so far show; `packs`: `packed` is going to be called."""
        layout = self._packed_layout() if packs else None
        return self.record_type().itemsize + (0 if layout is None else 4 * layout.row_size)

    def _oldest(self) -> int:
        """Return the row of the oldest step. Rows counted from there may exceed the limit: then they begin again."""
        return 0 if self.nb_appended <= self.limit else self.nb_appended % self.limit

    def _draw_rows(self, batch_size: int, nb_batches: int, n_step: int) -> np.ndarray:
        """Draw transitions; return the row of the step before each of them, counted from the oldest step's."""
        oldest = self._oldest()
        low, high = oldest + self.window_length - 1, oldest + self.nb_entries - n_step - 1
        if high <= low:
            raise UserError(f"{self.nb_entries} steps are stored; a sample needs {self.window_length + 1 + n_step}")
        return self._skip_resets(self._draw_batches(low, high, batch_size, nb_batches), low, high)

    def _draw_batches(self, low: int, high: int, size: int, nb_batches: int) -> np.ndarray:
        """Draw batches from [low, high), which have each number at most once if there are enough of them."""
        before = None if nb_batches == 1 else self.rng.bit_generator.state
        drawn = self.rng.integers(low, high, nb_batches * size)
        if size > high - low:
            return drawn
        # Equal numbers are rare in a large memory, so it is faster to redraw them all than to avoid them.
        numbers = drawn.tolist()
        if all(len(set(numbers[start : start + size])) == size for start in range(0, len(numbers), size)):
            return drawn
        if before is not None:  # at once it takes a quarter of the time, and gives the same numbers
            self.rng.bit_generator.state = before
            return np.concatenate([self._draw_batches(low, high, size, 1) for _ in range(nb_batches)])
        drawn = self.rng.choice(high - low, size, replace=False)
        drawn += low
        return drawn

    def _skip_resets(self, rows: np.ndarray, low: int, high: int) -> np.ndarray:
        """Redraw from [low, high), in place, the row of each end of an episode, after which there is no transition.

        As in Keras-RL, this may draw a transition that the batch already holds.
        """
        for _ in range(100):
            (resets,) = self._terminals.take(rows, mode="wrap").nonzero()
            if not resets.size:
                return rows
            rows[resets] = self.rng.integers(low, high, resets.size)
        candidates = np.arange(low, high)
        candidates = candidates[~self._terminals.take(candidates, mode="wrap")]
        if not candidates.size:
            raise NothingToDraw
        rows[resets] = self.rng.choice(candidates, resets.size)
        return rows

    def _gather(self, first: np.ndarray, n_step: int = 1, gamma: float = 1.0) -> Transitions:
        """Return the transitions whose first steps are in these rows, which may exceed the limit."""
        if n_step > 1:
            return self._gather_several(first, n_step, gamma)
        window = self.window_length
        history = first[:, None] + self._offsets  # [n, W + 1]
        frames = self._frames.take(history)
        if window > 1 and not self.ignore_episode_boundaries:
            self._clear_foreign(history[:, :-2], [array[:, : window - 1] for array in frames])
        discounts = gamma * ~self._terminated.take(first, mode="wrap")
        actions, rewards = (column.array.take(first, 0, mode="wrap") for column in (self._actions, self._rewards))
        return Transitions(frames, actions, rewards, discounts, masks=self._masks_of(history[:, -1]))

    def _gather_several(self, first: np.ndarray, n_step: int, gamma: float) -> Transitions:
        window = self.window_length
        steps, factors, discounts, frames_of = spans(n_step, gamma, window)
        rows = first[:, None] + steps  # [n, N]
        ends = self._terminals.take(rows, mode="wrap")
        ends[:, -1] = True
        last = ends.argmax(axis=1)  # the first step that ended an episode, or else the last one
        rewards = np.einsum("ij,ij->i", self._rewards.array.take(rows, mode="wrap"), factors.take(last, axis=0))
        goes_on = ~self._terminated.take(first + last, mode="wrap")
        history = first[:, None] + frames_of.take(last, axis=0)  # [n, 2W]
        frames = self._frames.take(history)
        if window > 1 and not self.ignore_episode_boundaries:
            for state in (slice(0, window - 1), slice(window, -1)):
                self._clear_foreign(history[:, state], [array[:, state] for array in frames])
        actions = self._actions.array.take(first, 0, mode="wrap")
        masks = self._masks_of(history[:, -1])
        return Transitions(frames, actions, rewards, discounts.take(last) * goes_on, masks=masks)

    def _clear_foreign(self, history: np.ndarray, frames: list[np.ndarray]) -> None:
        """Overwrite the frames of earlier episodes with zeros; `history` has all frames' rows, the oldest first."""
        # The step after an episode's end only holds its last observation. So a frame is from an earlier episode if the
        # step before it, or before a later frame, ended an episode.
        ended = self._terminals.take(history - 1, mode="wrap")
        foreign = np.maximum.accumulate(ended[:, ::-1], axis=1)[:, ::-1]
        for array in frames:
            array[foreign] = 0

    def sample(self, batch_size: int, batch_idxs: Any = None) -> list[rl.memory.Experience]:
        """Return Keras-RL's list of experiences; `terminal1` is False where a time limit ended the episode.

        Args:
            batch_size: Number of transitions.
            batch_idxs: Their indexes, counted from the oldest step; random by default.
        """
        if batch_idxs is None:
            sample = self.draw(batch_size)
        else:
            indexes, oldest = np.asarray(batch_idxs), self._oldest()
            if len(indexes) != batch_size or indexes.min() < self.window_length or indexes.max() >= self.nb_entries - 1:
                raise UserError(
                    f"batch_idxs must be {batch_size} indexes from {self.window_length} to {self.nb_entries - 2}"
                )
            low, high = oldest + self.window_length - 1, oldest + self.nb_entries - 2
            sample = self._gather(self._skip_resets(indexes + (oldest - 1), low, high) + 1)
        before, after = self.states(sample)
        transitions = zip(before, sample.actions, sample.rewards, after, sample.discounts == 0.0, strict=True)
        return [rl.memory.Experience(s0, as_given(a), as_given(r), s1, bool(end)) for s0, a, r, s1, end in transitions]

    def states(self, sample: Transitions) -> tuple[list[Any], list[Any]]:
        """Return the states before and after, each a list of observations."""
        window, nb_frames = self.window_length, sample.frames[0].shape[1]
        observations = [
            [self._frames.restored([array[i, k] for array in sample.frames]) for k in range(nb_frames)]
            for i in range(len(sample.actions))
        ]
        return [frames[:window] for frames in observations], [frames[-window:] for frames in observations]

    # For `pickle` and `copy`, without the rows that are still empty: the limit may be far beyond the machine's memory.

    def __getstate__(self) -> dict[str, Any]:
        nb_rows = self.nb_entries
        columns = {name: getattr(self, name).resized(nb_rows) for name in ("_frames", "_actions", "_rewards")}
        ends = {name: getattr(self, name)[:nb_rows] for name in ("_terminals", "_terminated")}
        masks = None if self._masks is None else self._masks[:nb_rows]
        return {**vars(self), **columns, **ends, "_masks": masks, "_copies": {}, "_packed": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        for name in ("_frames", "_actions", "_rewards"):
            setattr(self, name, getattr(self, name).resized(self.limit))
        self._terminals, self._terminated = resized(self._terminals, self.limit), resized(self._terminated, self.limit)
        self._masks = None if self._masks is None else resized(self._masks, self.limit)

    # For `TrainingState`

    def get_state(self) -> dict[str, Any]:
        """Return everything but the stored steps."""
        return {
            **{name: getattr(self, name) for name in (*self._arguments, "nb_appended")},
            "recent_observations": list(self.recent_observations),
            "recent_terminals": [bool(terminal) for terminal in self.recent_terminals],
            "rng": self.rng.bit_generator.state,
            **({"nb_masked": self.nb_masked} if self.nb_masked else {}),
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Continue from what `get_state` returned; `put_steps` restores the stored steps.

        Raises:
            UserError: It comes from a memory with other arguments, or of another class.
        """
        resumed = "the memory to resume with has"
        for name in self._arguments:
            if state.get(name) != getattr(self, name):
                raise UserError(f"{resumed} {name} {state.get(name)!s:.60}, this one {getattr(self, name)}")
        if more := state.keys() - self.get_state().keys() - {"nb_masked"}:
            raise UserError(
                f"{resumed} {min(more, key=str)!s:.60}, which a {type(self).__name__} does not have; resume with a "
                "memory of the same class"
            )
        nb_masked = state.get("nb_masked", 0)
        if type(nb_masked) is not int or not 0 <= nb_masked <= _MOST_ACTIONS:
            raise ValueError("invalid masks")
        self._make_columns()
        self._copies.clear()
        self.nb_appended = state["nb_appended"]
        if nb_masked:
            self.keep_masks(nb_masked)
        self.recent_observations.extend(state["recent_observations"])
        self.recent_terminals.extend(state["recent_terminals"])
        self.rng.bit_generator.state = state["rng"]

    def put_steps(self, first: int, records: np.ndarray) -> None:
        """Store records that `steps` returned; `first` is the number of the first one."""
        rows = np.arange(first, first + len(records)) % self.limit
        self._frames.put_all(rows, [records[name] for name in records.dtype.names or () if name.startswith("frame")])
        self._actions.put_all(rows, records["action"])
        self._rewards.put_all(rows, records["reward"])
        self._terminals[rows], self._terminated[rows] = records["terminal"], records["terminated"]
        if self._masks is not None:
            self._masks[rows] = records["mask"]
