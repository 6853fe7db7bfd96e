"""The whole training state, for an exact resume: written between episodes, read before the first.

Two files: `PATH` holds everything but the replay memory's steps (networks, optimizer, generators, counters, the
callbacks' states) and is replaced whole; `PATH.memory-N` holds the steps, and only those that are new are added. It has
room for more steps than the memory, so that what is added never touches what the `PATH` on disk refers to: whenever the
process dies, the two fit together. Nothing is ever unpickled.
"""

import io
import json
import os
import random
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from kerasrl.errors import UserError
from kerasrl.files import DamagedError, naming, seal, unseal, write_whole

_KIND = b"kerasrl state 1"
_CHUNK = 4_096  # steps that are copied at a time


class TrainingState:
    """Where and how often `DQNAgent.fit` keeps what an exact resume needs.

    Args:
        path: File to write.
        interval: Steps between writes; one is due at the first end of an episode after that many.
        save_memory: Keep the replay memory too. Without it a resumed run starts with an empty one and
            is no longer exact.
    """

    def __init__(self, path: str | os.PathLike[str], interval: int = 5_000, save_memory: bool = True) -> None:
        if interval < 1:
            raise UserError(f"the interval of the training state must be at least 1, is {interval}")
        self.path, self.interval, self.save_memory = Path(path), interval, save_memory
        self._steps: MemoryFile | None = None
        self.saved_step = -1  # the step of the state on disk

    def is_due(self, step: int) -> bool:
        """Tell whether a state should be written at the end of an episode."""
        return self.saved_step < 0 or step - self.saved_step >= self.interval

    def save(self, agent: Any, episode: int, callbacks: list[Any], env: Any) -> None:
        """Write the state before episode number `episode`.

        Raises:
            OSError: It cannot be written; the one before stays.
        """
        tree = {
            "metadata": agent.metadata,
            "episode": episode,
            "agent": agent.get_state(),
            "generators": _generators(env),
            "callbacks": [[type(c).__name__, c.get_state() if hasattr(c, "get_state") else None] for c in callbacks],
            "memory": None,
        }
        if self.save_memory:
            self._steps = self._steps or MemoryFile(self.path, agent.memory.limit + 2 * self.interval)
            tree["memory"] = {**agent.memory.get_state(), "file": self._steps.add(agent.memory)}
        write_whole(self.path, seal(_KIND, _encode(tree)))
        self.saved_step = agent.step
        if self._steps is not None:
            self._steps.forget_others()

    def load(self) -> dict[str, Any]:
        """Return the state on disk.

        Raises:
            UserError: There is none, or it is damaged.
        """
        try:
            tree: dict[str, Any] = _decode(unseal(_KIND, self.path.read_bytes()))
        except FileNotFoundError:
            raise UserError(f"there is nothing to resume: {self.path} does not exist; train without --resume") from None
        except OSError as error:
            raise UserError(f"the training state {self.path} cannot be read: {error.strerror}") from None
        except DamagedError:
            raise UserError(f"the training state {self.path} is damaged; train anew without --resume") from None
        return tree

    def restore(self, tree: dict[str, Any], agent: Any, callbacks: list[Any], env: Any) -> int:
        """Put the state into agent, callbacks and generators; return the number of the episode to begin.

        Raises:
            UserError: The steps of the replay memory are missing or damaged.
        """
        if tree["memory"] is not None:
            self._steps = MemoryFile(self.path, agent.memory.limit + 2 * self.interval)
            agent.memory.set_state(tree["memory"])
            self._steps.read(tree["memory"]["file"], agent.memory)
        agent.set_state(tree["agent"])
        states = {name: state for name, state in tree["callbacks"] if state is not None}
        for callback in callbacks:
            if hasattr(callback, "set_state") and type(callback).__name__ in states:
                callback.set_state(states[type(callback).__name__])
        _set_generators(tree["generators"], env)
        self.saved_step = agent.step
        return int(tree["episode"])


class MemoryFile:
    """The steps of a replay memory in a ring of `capacity` records, which is larger than the memory."""

    def __init__(self, path: Path, capacity: int) -> None:
        self.path, self.capacity = path, capacity
        self.number, self.record = 0, np.dtype([])
        self.end = 0  # steps written so far, ever
        self.segments: list[tuple[int, int, int]] = []  # first step, end, checksum

    def _file(self) -> Path:
        return self.path.with_name(f"{self.path.name}.memory-{self.number}")

    def add(self, memory: Any) -> dict[str, Any]:
        """Write the steps that are new since the last call; return what `read` needs to find all."""
        first, end = memory.nb_appended - memory.nb_entries, memory.nb_appended
        record = memory.record_type()
        if record != self.record or end - self.end > self.capacity - memory.limit or not self._file().exists():
            # A new file, since the steps changed their type or do not fit beside those that must stay.
            numbers = [int(f.name.rpartition("-")[2]) for f in self.path.parent.glob(f"{self.path.name}.memory-*")]
            self.number, self.record, self.segments, self.end = max(numbers, default=0) + 1, record, [], first
        while self.end < end:
            steps = memory.steps(self.end, min(self.end + _CHUNK, end))
            self._write(self.end, steps)
            self.segments.append((self.end, self.end + len(steps), zlib.crc32(steps.tobytes())))
            self.end += len(steps)
        self.segments = [segment for segment in self.segments if segment[1] > first]
        if self.segments and self.segments[0][0] < first:  # its first steps are forgotten
            _, stop, _ = self.segments[0]
            self.segments[0] = (first, stop, zlib.crc32(memory.steps(first, stop).tobytes()))
        return {
            "number": self.number,
            "capacity": self.capacity,
            "record": [[name, kind.base.str, list(kind.shape)] for name, (kind, *_) in record.fields.items()],
            "segments": self.segments,
        }

    def _write(self, first: int, steps: np.ndarray) -> None:
        size = self.record.itemsize
        slot = first % self.capacity
        before_the_end = steps[: self.capacity - slot]
        with naming(self._file()), self._file().open("r+b" if self._file().exists() else "wb") as file:
            for part, position in ((before_the_end, slot), (steps[len(before_the_end) :], 0)):
                if len(part):
                    file.seek(position * size)
                    file.write(part.tobytes())
            file.flush()
            os.fsync(file.fileno())

    def read(self, place: dict[str, Any], memory: Any) -> None:
        """Put the steps that `add` spoke of into the memory.

        Raises:
            UserError: They are missing or damaged.
        """
        self.number, self.capacity = place["number"], place["capacity"]
        self.record = np.dtype([(name, kind, tuple(shape)) for name, kind, shape in place["record"]])
        self.segments = [(first, end, checksum) for first, end, checksum in place["segments"]]
        if not self.segments:
            return
        self.end = self.segments[-1][1]
        try:
            records = np.memmap(self._file(), self.record, "r")
        except (OSError, ValueError):
            raise UserError(
                f"{self._file()}, the replay memory to resume with, is missing or cut; train anew"
            ) from None
        for first, end, checksum in self.segments:
            found = 0
            for start in range(first, end, _CHUNK):
                slots = np.arange(start, min(start + _CHUNK, end)) % self.capacity
                steps = records[slots[slots < len(records)]]
                found = zlib.crc32(steps.tobytes(), found)
                memory.put_steps(start, steps)
            if found != checksum:
                raise UserError(f"{self._file()}, the replay memory to resume with, is damaged; train anew")

    def forget_others(self) -> None:
        """Remove files of earlier runs or types of steps, which the state no longer refers to."""
        for file in self.path.parent.glob(f"{self.path.name}.memory-*"):
            if file != self._file():
                file.unlink(missing_ok=True)


# Generators


def _space_generator(env: Any) -> Any:
    """Return the generator behind `env.action_space.sample()`, None if it has none."""
    generator = getattr(getattr(env, "action_space", None), "np_random", None)
    return generator if isinstance(generator, np.random.Generator) else None


def _generators(env: Any) -> dict[str, Any]:
    space = _space_generator(env)
    return {
        "numpy": list(np.random.get_state()),
        "random": random.getstate(),
        "actions": None if space is None else space.bit_generator.state,
    }


def _set_generators(states: dict[str, Any], env: Any) -> None:
    np.random.set_state(tuple(states["numpy"]))
    version, values, gauss = states["random"]
    random.setstate((version, tuple(values), gauss))
    space = _space_generator(env)
    if space is not None and states["actions"] is not None:
        space.bit_generator.state = states["actions"]


# Attributes of policies and processors


def attributes(thing: Any) -> dict[str, Any] | None:
    """Return an object's numbers, texts and arrays, and those of the objects it holds, as a tree."""
    if not hasattr(thing, "__dict__"):
        return None
    found: dict[str, Any] = {}
    for name, value in vars(thing).items():
        if isinstance(value, bool | int | float | str | np.ndarray | np.generic) or value is None:
            found[name] = value
        elif name not in ("agent", "_agent") and hasattr(value, "__dict__") and not callable(value):
            found[name] = attributes(value)
    return found


def set_attributes(thing: Any, tree: dict[str, Any] | None) -> None:
    """Undo `attributes`; what the object does not hold yet is left to it."""
    for name, value in (tree or {}).items():
        if isinstance(value, dict):
            if getattr(thing, name, None) is not None:
                set_attributes(getattr(thing, name), value)
        else:
            setattr(thing, name, value)


# Bytes


def _encode(tree: Any) -> bytes:
    """Write a tree of dictionaries, lists, numbers, texts and arrays as JSON with the arrays beside it."""
    arrays: list[np.ndarray] = []

    def plain(value: Any) -> Any:
        if isinstance(value, np.ndarray):
            arrays.append(value)
            return {"__array__": len(arrays) - 1}
        if isinstance(value, np.generic):
            return value.item()
        if isinstance(value, dict):
            return {key: plain(item) for key, item in value.items()}
        return [plain(item) for item in value] if isinstance(value, list | tuple) else value

    text = json.dumps(plain(tree)).encode()
    buffer = io.BytesIO()
    np.savez(buffer, np.frombuffer(text, np.uint8), *arrays)
    return buffer.getvalue()


def _decode(content: bytes) -> Any:
    """Undo `_encode`."""
    with np.load(io.BytesIO(content), allow_pickle=False) as file:

        def rich(value: Any) -> Any:
            if isinstance(value, dict):
                if "__array__" in value:
                    return file[f"arr_{value['__array__'] + 1}"]
                return {key: rich(item) for key, item in value.items()}
            return [rich(item) for item in value] if isinstance(value, list) else value

        return rich(json.loads(file["arr_0"].tobytes()))
