"""The steps of a replay memory on disk, to which only new steps are added."""

import contextlib
import math
import os
import re
import stat
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from kerasrl.errors import UserError
from kerasrl.reading import is_hollow
from kerasrl.storage.encoding import require_within
from kerasrl.storage.files import DamagedError, flush_folder, naming, require_lock

_CHUNK = 4_096  # steps copied at a time


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
        """Write the steps that are new since the last call; return what `read` needs to find all of them."""
        first, end = memory.nb_appended - memory.nb_entries, memory.nb_appended
        record = memory.record_type()
        if record != self.record or end - self.end > self.capacity - memory.limit or not self._is_own():
            # A new file: the steps' type has changed, they do not fit beside those that must stay, or somebody else
            # would see them, through a link.
            number = max((number for number, _ in self._files()), default=0) + 1
            self.number, self.record, self.segments, self.end = number, record, [], first
        while self.end < end:
            steps = memory.steps(self.end, min(self.end + _CHUNK, end))
            self._write(self.end, steps)
            self.segments.append((self.end, self.end + len(steps), zlib.crc32(steps.tobytes())))
            self.end += len(steps)
        self.segments = [segment for segment in self.segments if segment[1] > first]
        if self.segments and self.segments[0][0] < first:  # the memory has forgotten its first steps
            _, stop, _ = self.segments[0]
            self.segments[0] = (first, stop, zlib.crc32(memory.steps(first, stop).tobytes()))
        return {
            "number": self.number,
            "capacity": self.capacity,
            "record": [[name, kind.base.str, list(kind.shape)] for name, (kind, *_) in record.fields.items()],
            "segments": self.segments,
        }

    def _is_own(self) -> bool:
        """Return whether the file is there under this name alone."""
        with contextlib.suppress(FileNotFoundError):
            status = self._file().lstat()
            return stat.S_ISREG(status.st_mode) and status.st_nlink == 1
        return False

    def _write(self, first: int, steps: np.ndarray) -> None:
        size = self.record.itemsize
        slot = first % self.capacity
        before_the_end = steps[: self.capacity - slot]
        exists = self._file().exists()
        require_lock(self._file())
        with naming(self._file()), self._file().open("r+b" if exists else "wb") as file:
            for part, position in ((before_the_end, slot), (steps[len(before_the_end) :], 0)):
                if len(part):
                    file.seek(position * size)
                    file.write(part.tobytes())
            file.flush()
            os.fsync(file.fileno())
            if not exists:
                flush_folder(self.path.parent)

    def read(self, place: dict[str, Any], memory: Any, sizes: list[int] | None = None) -> None:
        """Put the steps into the memory, whose counters have been restored already.

        Args:
            place: What `add` returned.
            sizes: How many numbers each part of an observation has, None if that is not known.

        Raises:
            UserError: They are missing or damaged, or are not the steps of such a memory.
        """
        try:
            self._set_place(place, memory, sizes)
        except Exception:  # a stranger's file may hold anything
            message = f"{self.path}, the training state to resume with, is damaged; start again"
            raise UserError(message) from None
        if not self.segments:
            return
        try:
            if self._file().is_symlink() or not self._file().is_file():  # a pipe might block
                raise FileNotFoundError
            with self._file().open("rb") as file:
                if is_hollow(file.fileno(), sum(end - first for first, end, _ in self.segments) * self.record.itemsize):
                    raise ValueError("its steps are not there")
            whole = self._file().stat().st_size // self.record.itemsize  # the last may be an interrupted write's
            records = np.memmap(self._file(), self.record, "r", shape=(whole,))
        except PermissionError as error:
            reason = f"cannot be read: {error.strerror}"
            raise UserError(f"{self._file()}, the replay memory to resume with, {reason}") from None
        except (OSError, ValueError):
            raise UserError(
                f"{self._file()}, the replay memory to resume with, is missing or truncated; start again"
            ) from None
        for first, end, checksum in self.segments:
            found = 0
            for start in range(first, end, _CHUNK):
                slots = np.arange(start, min(start + _CHUNK, end)) % self.capacity
                steps = records[slots[slots < len(records)]]
                found = zlib.crc32(steps.tobytes(), found) if len(steps) == len(slots) else -1
                if found < 0:
                    break
                memory.put_steps(start, steps)
            if found != checksum:
                raise UserError(f"{self._file()}, the replay memory to resume with, is damaged; start again")

    def _set_place(self, place: dict[str, Any], memory: Any, sizes: list[int] | None) -> None:
        """Adopt what `add` returned; raise some exception if `add` cannot have returned it for such a memory."""
        number, capacity = place["number"], place["capacity"]
        for value in (number, capacity, memory.nb_appended):
            require_within(value, 2**53)
        segments = [(first, end, checksum) for first, end, checksum in place["segments"]]
        # They follow one another, and together they are what the memory holds.
        at = memory.nb_appended - memory.nb_entries
        for first, end, _ in segments:
            if type(end) is not int or first != at or end <= at:
                raise DamagedError
            at = end
        if at != memory.nb_appended or capacity < memory.limit:
            raise DamagedError
        record = np.dtype([(name, kind, tuple(shape)) for name, kind, shape in place["record"]])
        _require_record(record, memory.record_type(), sizes)
        self.number, self.capacity, self.record, self.segments, self.end = number, capacity, record, segments, at

    def forget_others(self) -> None:
        """Remove the files of earlier runs or types of steps, to which the state no longer refers."""
        for number, file in self._files():
            if number != self.number:
                file.unlink(missing_ok=True)

    def files(self) -> list[Path]:
        """Return the files of all numbers."""
        return [file for _, file in self._files()]

    def _files(self) -> list[tuple[int, Path]]:
        pattern = re.compile(re.escape(self.path.name) + r"\.memory-(\d+)")
        with naming(self._file()):
            found = [(pattern.fullmatch(file.name), file) for file in self.path.parent.iterdir()]
        return [(int(match[1]), file) for match, file in found if match]


def _require_record(record: np.dtype, columns: np.dtype, sizes: list[int] | None) -> None:
    """Raise `DamagedError` if a record is not frames of numbers, followed by a memory's own columns."""
    names, own = list(record.names or ()), list(columns.names or ())
    frames = names[: len(names) - len(own)]
    fits = (
        names == [f"frame{k}" for k in range(len(frames))] + own
        # A column is of the memory's own type, or holds numbers where the memory's does.
        and all(record[n] == columns[n] or (columns[n].kind in "iuf" and record[n].base.kind in "biuf") for n in own)
        and all(record[name].base.kind in "biuf" for name in frames)
        and (sizes is None or not frames or sorted(math.prod(record[f].shape) for f in frames) == sorted(sizes))
    )
    if not fits:
        raise DamagedError
