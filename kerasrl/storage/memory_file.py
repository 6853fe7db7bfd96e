"""The steps of a replay memory on disk: only those that are new are added."""

import os
import re
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from kerasrl.errors import UserError
from kerasrl.storage.files import naming

_CHUNK = 4_096  # steps that are copied at a time


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
        """Write the steps that are new since the last call; return what `read` needs to find them all."""
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
        """Put the steps that `add` described into the memory.

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
            whole = self._file().stat().st_size // self.record.itemsize  # an interrupted write may have left a part
            records = np.memmap(self._file(), self.record, "r", shape=(whole,))
        except (OSError, ValueError):
            raise UserError(
                f"{self._file()}, the replay memory to resume with, is missing or truncated; start again"
            ) from None
        for first, end, checksum in self.segments:
            found = 0
            for start in range(first, end, _CHUNK):
                slots = np.arange(start, min(start + _CHUNK, end)) % self.capacity
                steps = records[slots[slots < len(records)]]
                found = zlib.crc32(steps.tobytes(), found)
                memory.put_steps(start, steps)
            if found != checksum:
                raise UserError(f"{self._file()}, the replay memory to resume with, is damaged; start again")

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
