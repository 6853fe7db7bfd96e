"""Replay memory over preallocated arrays, a drop-in for Keras-RL's `SequentialMemory`."""

from typing import Any

import numpy as np
import rl.memory

from kerasrl.dqn.arrays import holds, parts, zeros
from kerasrl.dqn.transitions import Transitions, spans
from kerasrl.errors import UserError

NO_TRANSITIONS = "the replay memory holds only ends of episodes: every episode has a single step"


class SequentialMemory(rl.memory.SequentialMemory):
    """The last `limit` steps, sampled uniformly, as in `rl.memory.SequentialMemory`.

    Replaced: storage (arrays allocated once in the observations' own dtype, instead of deques, whose
    middle is slow to reach) and sampling (vectorised). Added: `truncated` in `append`. A step at which a
    time limit ends the episode separates episodes like any other end, but its next state keeps its value.

    Args:
        limit: Number of steps to keep, at least window_length + 3.
        window_length: Number of consecutive observations that make a state.
        ignore_episode_boundaries: Let states reach back into the episode before.
        seed: Seed of the generator that draws samples; None takes one from the operating system.
    """

    _arguments: tuple[str, ...] = ("limit", "window_length")  # which a memory to resume with must share

    def __init__(
        self,
        limit: int,
        window_length: int = 1,
        ignore_episode_boundaries: bool = False,
        seed: int | None = None,
    ) -> None:
        if window_length < 1:
            raise UserError(f"window_length must be at least 1, is {window_length}")
        if limit < window_length + 3:  # the fewest of which one is never the beginning of an episode
            raise UserError(
                f"limit must be at least window_length + 3 = {window_length + 3}, so that there is always a step to "
                f"draw; it is {limit}"
            )
        # Past rl.memory.SequentialMemory.__init__, which allocates its deques.
        rl.memory.Memory.__init__(self, window_length, ignore_episode_boundaries)
        self.limit = limit
        self.rng = np.random.default_rng(seed)
        self._structure: Any = None  # the first observation's container, to give observations back
        self._frames: list[np.ndarray] = []  # each [limit, *part of the observation]
        self._actions = np.zeros(limit, np.int64)
        self._rewards = np.zeros(limit, np.float64)
        self._terminals = np.zeros(limit, np.bool_)  # the episode ended after this step
        self._terminated = np.zeros(limit, np.bool_)  # ... and not by a time limit
        self._nb_appended = 0
        self._offsets = np.arange(-window_length, 1)

    def seed(self, seed: int) -> None:
        """Seed the generator that draws samples."""
        self.rng = np.random.default_rng(seed)

    @property
    def nb_appended(self) -> int:
        """Number of steps ever stored."""
        return self._nb_appended

    @property
    def nb_entries(self) -> int:
        """Number of steps stored."""
        return min(self._nb_appended, self.limit)

    def append(
        self,
        observation: Any,
        action: int,
        reward: float,
        terminal: bool,
        training: bool = True,
        truncated: bool = False,
    ) -> None:
        """Store that `action` in `observation` gave `reward` and, if `terminal`, ended the episode.

        `truncated` says that a time limit ended it. Without `training` the observation only becomes
        part of the recent state.
        """
        rl.memory.Memory.append(self, observation, action, reward, terminal, training=training)
        if not training:
            return
        row = self._nb_appended % self.limit
        arrays = parts(observation)
        if not self._frames:
            self._allocate(observation, arrays)
        if self._structure is None:
            self._structure = observation
        if isinstance(observation, dict) and observation.keys() != self._structure.keys():
            raise UserError(f"an observation {sorted(observation)} follows observations {sorted(self._structure)}")
        if len(arrays) != len(self._frames):
            raise UserError(f"an observation of {len(arrays)} parts follows observations of {len(self._frames)}")
        for k, array in enumerate(arrays):
            frames = self._frames[k]
            if array.shape != frames.shape[1:]:
                raise UserError(
                    f"an observation of shape {array.shape} follows observations of shape {frames.shape[1:]}; "
                    "a replay memory holds observations of one shape"
                )
            if array.dtype != frames.dtype and not holds(frames.dtype, array.dtype):
                frames = self._frames[k] = frames.astype(np.result_type(array, frames))
            frames[row] = array
        self._actions[row] = action
        self._rewards[row] = reward
        self._terminals[row] = terminal
        self._terminated[row] = terminal and not truncated
        self._nb_appended += 1

    def _allocate(self, observation: Any, arrays: list[np.ndarray]) -> None:
        if any(not np.issubdtype(a.dtype, np.number) and a.dtype != np.bool_ for a in arrays):
            raise UserError(f"an observation must hold numbers, not {type(observation).__name__} {observation!r:.60}")
        self._frames = [zeros((self.limit, *array.shape), array.dtype) for array in arrays]

    def truncate_episode(self, observation: Any) -> None:
        """End the current episode before `observation`, which was seen but not acted upon."""
        if self._nb_appended and not self._terminals[(self._nb_appended - 1) % self.limit]:
            self._terminals[(self._nb_appended - 1) % self.limit] = True
            self.append(observation, 0, 0.0, terminal=False)
        self.recent_observations.clear()
        self.recent_terminals.clear()

    def draw(self, batch_size: int, nb_batches: int = 1, n_step: int = 1, gamma: float = 1.0) -> Transitions:
        """Return `nb_batches` uniform samples of `batch_size` transitions, one after the other.

        Within a batch no transition is drawn twice while enough are stored (but see `_skip_resets`). The newest
        `n_step - 1` steps are not drawn, since not all of their rewards may be known.

        Args:
            batch_size: Transitions in a batch.
            nb_batches: Number of batches.
            n_step: Steps of a transition: the sum of so many rewards, and the state after them; fewer where the
                episode ends.
            gamma: Discount factor of rewards and of the state after them.
        """
        low, high = self.window_length + 1, self.nb_entries - n_step + 1
        if high <= low:
            raise UserError(f"{self.nb_entries} steps are stored; a sample needs {low + n_step}")
        draws = [self._draw_indexes(low, high, batch_size) for _ in range(nb_batches)]
        indexes = self._skip_resets(draws[0] if nb_batches == 1 else np.concatenate(draws), high)
        return self._gather(indexes, n_step, gamma)

    def _draw_indexes(self, low: int, high: int, size: int) -> np.ndarray:
        """Draw from [low, high): each index at most once where there are enough of them."""
        indexes = self.rng.integers(low, high, size)
        # Equal indexes are rare in a large memory: redrawing them all is then faster than avoiding them.
        if size <= high - low and len(set(indexes.tolist())) < size:
            indexes = self.rng.choice(high - low, size, replace=False)
            indexes += low
        return indexes

    def _rows(self, indexes: np.ndarray) -> np.ndarray:
        """Turn indexes that count from the oldest step into rows of the arrays."""
        return indexes if self._nb_appended <= self.limit else (indexes + self._nb_appended) % self.limit

    def _skip_resets(self, indexes: np.ndarray, high: int) -> np.ndarray:
        """Redraw below `high`, in place, each index whose preceding step ended an episode: a reset is no transition.

        As in Keras-RL, this may draw a transition that the batch already holds.
        """
        low = self.window_length + 1
        for _ in range(100):
            (resets,) = self._terminals.take(self._rows(indexes - 2)).nonzero()
            if not resets.size:
                return indexes
            indexes[resets] = self.rng.integers(low, high, resets.size)
        candidates = np.arange(low, high)
        candidates = candidates[~self._terminals[self._rows(candidates - 2)]]
        if not candidates.size:
            raise UserError(NO_TRANSITIONS)
        indexes[resets] = self.rng.choice(candidates, resets.size)
        return indexes

    def _gather(self, indexes: np.ndarray, n_step: int = 1, gamma: float = 1.0) -> Transitions:
        """Collect the transitions whose first steps lead to the observations at `indexes`, counted from the oldest."""
        if n_step > 1:
            return self._gather_several(indexes, n_step, gamma)
        window = self.window_length
        history = indexes[:, None] + self._offsets  # [n, W + 1]
        rows = self._rows(history)
        frames = [array.take(rows, axis=0) for array in self._frames]
        if window > 1 and not self.ignore_episode_boundaries:
            self._clear_foreign(history[:, :-2], [array[:, : window - 1] for array in frames])
        rows = rows[:, -2]
        discounts = gamma * ~self._terminated.take(rows)
        return Transitions(frames, self._actions.take(rows), self._rewards.take(rows), discounts)

    def _gather_several(self, indexes: np.ndarray, n_step: int, gamma: float) -> Transitions:
        """Collect transitions of up to `n_step` steps, as `_gather`."""
        window = self.window_length
        steps, factors, discounts, frames_of = spans(n_step, gamma, window)
        first = indexes - 1
        rows = self._rows(first[:, None] + steps)  # [n, N]
        ends = self._terminals.take(rows)
        ends[:, -1] = True
        last = ends.argmax(axis=1)  # the step that an episode ended with, or else the last one
        rewards = np.einsum("ij,ij->i", self._rewards.take(rows), factors.take(last, axis=0))
        is_worth = ~self._terminated.take(self._rows(first + last))
        history = first[:, None] + frames_of.take(last, axis=0)  # [n, 2W]
        in_rows = self._rows(history)
        frames = [array.take(in_rows, axis=0) for array in self._frames]
        if window > 1 and not self.ignore_episode_boundaries:
            for state in (slice(0, window - 1), slice(window, -1)):
                self._clear_foreign(history[:, state], [array[:, state] for array in frames])
        return Transitions(frames, self._actions.take(rows[:, 0]), rewards, discounts.take(last) * is_worth)

    def _clear_foreign(self, history: np.ndarray, frames: list[np.ndarray]) -> None:
        """Overwrite with zeros the frames of an earlier episode; `history` has their indexes, the oldest first.

        A frame belongs to the episode unless the step before it, or one closer, ended an episode.
        """
        ended = self._terminals.take(self._rows(history - 1))
        foreign = np.maximum.accumulate(ended[:, ::-1], axis=1)[:, ::-1]
        for array in frames:
            array[foreign] = 0

    def sample(self, batch_size: int, batch_idxs: Any = None) -> list[rl.memory.Experience]:
        """Return Keras-RL's list of experiences; `terminal1` is False where a time limit ended the episode.

        Args:
            batch_size: Number of transitions.
            batch_idxs: Their indexes from the oldest step, drawn at random if None.
        """
        if batch_idxs is None:
            sample = self.draw(batch_size)
        else:
            indexes = np.asarray(batch_idxs)
            if len(indexes) != batch_size or indexes.min() < self.window_length or indexes.max() >= self.nb_entries - 1:
                raise UserError(
                    f"batch_idxs must be {batch_size} indexes from {self.window_length} to {self.nb_entries - 2}"
                )
            sample = self._gather(self._skip_resets(indexes + 1, self.nb_entries))
        return [
            rl.memory.Experience(
                state0=state0,
                action=sample.actions[i].item(),
                reward=sample.rewards[i].item(),
                state1=state1,
                terminal1=bool(sample.discounts[i] == 0.0),
            )
            for i, (state0, state1) in enumerate(zip(*self.states(sample), strict=True))
        ]

    def states(self, sample: Transitions) -> tuple[list[Any], list[Any]]:
        """Return the states before and after as lists of observations."""
        window, nb_frames = self.window_length, sample.frames[0].shape[1]
        observations = [
            [self._restored([array[i, k] for array in sample.frames]) for k in range(nb_frames)]
            for i in range(len(sample.actions))
        ]
        return [frames[:window] for frames in observations], [frames[-window:] for frames in observations]

    def _restored(self, arrays: list[np.ndarray]) -> Any:
        if isinstance(self._structure, dict):
            by_key = dict(zip(sorted(self._structure), arrays, strict=True))
            return {key: by_key[key] for key in self._structure}
        return arrays[0] if len(arrays) == 1 else type(self._structure)(arrays)

    def _chronological(self, array: np.ndarray) -> np.ndarray:
        return array.take(self._rows(np.arange(self.nb_entries)), axis=0)

    @property
    def observations(self) -> list[Any]:
        """The stored observations, the oldest first (a copy)."""
        return [self._restored(list(frames)) for frames in zip(*map(self._chronological, self._frames), strict=True)]

    @property
    def actions(self) -> np.ndarray:
        """The stored actions, the oldest first (a copy)."""
        return self._chronological(self._actions)

    @property
    def rewards(self) -> np.ndarray:
        """The stored rewards, the oldest first (a copy)."""
        return self._chronological(self._rewards)

    @property
    def terminals(self) -> np.ndarray:
        """Whether an episode ended after each stored step, the oldest first (a copy)."""
        return self._chronological(self._terminals)

    # What `TrainingState` needs

    def record_type(self) -> np.dtype:
        """Return the type of one stored step as `steps` gives it."""
        frames = [(f"frame{k}", array.dtype, array.shape[1:]) for k, array in enumerate(self._frames)]
        return np.dtype([*frames, *((name, array.dtype) for name, array in self._columns().items())])

    def _columns(self) -> dict[str, np.ndarray]:
        return {
            "action": self._actions,
            "reward": self._rewards,
            "terminal": self._terminals,
            "terminated": self._terminated,
        }

    def steps(self, first: int, end: int) -> np.ndarray:
        """Return the steps numbered [first, end), counted since the first ever stored; they must still be stored."""
        rows = np.arange(first, end) % self.limit
        records = np.zeros(end - first, self.record_type())
        for name, array in {**{f"frame{k}": a for k, a in enumerate(self._frames)}, **self._columns()}.items():
            records[name] = array[rows]
        return records

    def get_state(self) -> dict[str, Any]:
        """Return all but the stored steps."""
        return {
            **{name: getattr(self, name) for name in self._arguments},
            "nb_appended": self._nb_appended,
            "recent_observations": list(self.recent_observations),
            "recent_terminals": [bool(terminal) for terminal in self.recent_terminals],
            "rng": self.rng.bit_generator.state,
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Continue from what `get_state` returned; `put_steps` restores the stored steps.

        Raises:
            UserError: It is of a memory with other arguments, or of another class.
        """
        for name in self._arguments:
            if state.get(name) != getattr(self, name):
                raise UserError(
                    f"the memory to resume with has {name} {state.get(name)!s:.60}, this one {getattr(self, name)}"
                )
        if more := state.keys() - self.get_state().keys():
            raise UserError(
                f"the memory to resume with has {min(more, key=str)!s:.60}, which a {type(self).__name__} has not; "
                "resume with a memory of the same class"
            )
        self._frames, self._structure = [], None
        self._nb_appended = state["nb_appended"]
        self.recent_observations.extend(state["recent_observations"])
        self.recent_terminals.extend(state["recent_terminals"])
        self.rng.bit_generator.state = state["rng"]

    def put_steps(self, first: int, records: np.ndarray) -> None:
        """Store records that `steps` returned; `first` is the number of the first one."""
        names = [name for name in records.dtype.names or () if name.startswith("frame")]
        if not self._frames:
            self._frames = [zeros((self.limit, *records[name].shape[1:]), records[name].dtype) for name in names]
        rows = np.arange(first, first + len(records)) % self.limit
        for name, array in {**dict(zip(names, self._frames, strict=True)), **self._columns()}.items():
            array[rows] = records[name]
