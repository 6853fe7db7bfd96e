"""Files that appear whole or not at all, and folders that can hold them."""

import contextlib
import hashlib
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

from filelock import BaseFileLock, FileLock, Timeout

from kerasrl.errors import UserError, WriteError

BLOCK = 512  # bytes before sealed content; HDF5 can begin after them


class DamagedError(Exception):
    """A sealed file is not what was written."""


def seal(kind: bytes, content: bytes) -> bytes:
    """Put a block of 512 bytes with the kind of the file and a checksum before the content."""
    head = kind + b"\nsha256 " + hashlib.sha256(content).hexdigest().encode() + b"\n"
    return head.ljust(BLOCK, b"\0") + content


def unseal(kind: bytes, sealed: bytes) -> bytes:
    """Return the content behind the seal; raise `DamagedError` if it is of another kind or not what was sealed."""
    content = sealed[BLOCK:]
    if seal(kind, content) != sealed:
        raise DamagedError
    return content


@contextlib.contextmanager
def naming(path: str | os.PathLike[str]) -> Iterator[None]:
    """Turn an OSError of the block into a `WriteError` that names the file that matters."""
    try:
        yield
    except OSError as error:
        raise WriteError(error.errno, error.strerror, os.fspath(path)) from None


def write_whole(path: str | os.PathLike[str], content: bytes) -> None:
    """Write a file beside `path`, flush it to the disk and rename it over `path`.

    Raises:
        OSError: It cannot be written; what was there stays.
    """
    target = Path(path)
    beside = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    with naming(target):
        try:
            with beside.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(beside, target)
        finally:
            beside.unlink(missing_ok=True)


@contextlib.contextmanager
def exclusive(*folders: str | os.PathLike[str]) -> Iterator[None]:
    """Keep other trainings out of the folders, which are created if needed, while the block runs.

    The lock dies with its process. Unfinished files that an earlier process left behind are removed.

    Raises:
        UserError: Nothing can be written to a folder, or another process is using it.
    """
    with contextlib.ExitStack() as stack:
        for folder in dict.fromkeys(Path(folder).resolve() for folder in folders):
            stack.callback(_locked(folder).release)
            for file in folder.iterdir():
                if re.fullmatch(r"\.dqn_.*\.\d+\.tmp", file.name):
                    file.unlink(missing_ok=True)
        yield


def _locked(folder: Path) -> BaseFileLock:
    lock = FileLock(folder / ".lock")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
        lock.acquire(timeout=0)
    except Timeout:
        raise UserError(f"another training is writing to folder {folder}; choose another folder") from None
    except OSError as error:
        reason = "it is a file" if isinstance(error, FileExistsError) else error.strerror
        raise UserError(f"folder {folder} cannot be written to: {reason}; choose another one") from None
    return lock
