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
import re
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
        return step - self.saved_step >= self.interval

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
            "callbacks": [[type(c).__name__, c.get_state()] for c in callbacks if hasattr(c, "get_state")],
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
        agent.set_state(tree["agent"], warm_up=tree["memory"] is None)
        resumable = [callback for callback in callbacks if hasattr(callback, "set_state")]
        if [type(callback).__name__ for callback in resumable] != [name for name, _ in tree["callbacks"]]:
            raise UserError(f"the run to resume had the callbacks {', '.join(name for name, _ in tree['callbacks'])}")
        for callback, (_, saved) in zip(resumable, tree["callbacks"], strict=True):
            callback.set_state(saved)
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
            number = max((number for number, _ in self._files()), default=0) + 1
            self.number, self.record, self.segments, self.end = number, record, [], first
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
            whole = self._file().stat().st_size // self.record.itemsize  # a write that was cut may have left a part
            records = np.memmap(self._file(), self.record, "r", shape=(whole,))
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
        for number, file in self._files():
            if number != self.number:
                file.unlink(missing_ok=True)

    def _files(self) -> list[tuple[int, Path]]:
        """Return number and path of every such file."""
        pattern = re.compile(re.escape(self.path.name) + r"\.memory-(\d+)")
        with naming(self._file()):
            found = [(pattern.fullmatch(file.name), file) for file in self.path.parent.iterdir()]
        return [(int(match[1]), file) for match, file in found if match]


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


# Policies and processors


def attributes(thing: Any) -> dict[str, Any] | None:
    """Return what an object holds as a tree: `get_state()` if it has it, else its attributes.

    Raises:
        UserError: It holds something that cannot be kept.
    """
    if thing is None or hasattr(thing, "get_state"):
        return None if thing is None else {"__state__": thing.get_state()}
    return {name: _kept(thing, name, value) for name, value in vars(thing).items() if name != "agent"}


def _kept(thing: Any, name: str, value: Any) -> Any:
    from rl.policy import Policy  # here, so that train.py finds a wrong --resume before TensorFlow is imported
    from rl.util import WhiteningNormalizer

    if isinstance(value, WhiteningNormalizer):
        return {"__normalizer__": {**vars(value), "dtype": np.dtype(value.dtype).str}}
    if isinstance(value, Policy):
        return {"__attributes__": attributes(value)}
    if isinstance(value, np.random.Generator):
        return {"__generator__": value.bit_generator.state}
    if isinstance(value, np.ndarray) and value.dtype != object:
        return value
    try:
        json.dumps(value, default=lambda item: item.item() if isinstance(item, np.generic) else _refuse(item))
    except (TypeError, ValueError):
        raise UserError(
            f"{type(thing).__name__}.{name} cannot be kept for a resume; give the class get_state and set_state"
        ) from None
    return value


def _refuse(item: Any) -> Any:
    raise TypeError


def set_attributes(thing: Any, tree: dict[str, Any] | None) -> None:
    """Undo `attributes`."""
    if tree is None:
        return
    if "__state__" in tree:
        thing.set_state(tree["__state__"])
        return
    for name, value in tree.items():
        present: Any = getattr(thing, name, None)
        if isinstance(value, dict) and "__normalizer__" in value:
            from rl.util import WhiteningNormalizer

            saved = value["__normalizer__"]
            normalizer = WhiteningNormalizer(tuple(saved["shape"]), dtype=np.dtype(saved["dtype"]))
            vars(normalizer).update({**saved, "shape": normalizer.shape, "dtype": normalizer.dtype})
            setattr(thing, name, normalizer)
        elif isinstance(value, dict) and "__attributes__" in value:
            set_attributes(present, value["__attributes__"])
        elif isinstance(value, dict) and "__generator__" in value:
            present.bit_generator.state = value["__generator__"]
        else:
            setattr(thing, name, tuple(value) if isinstance(present, tuple) else value)


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
