"""Files that appear whole or not at all, and folders that can hold them."""

import contextlib
import errno
import hashlib
import os
import re
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

from filelock import BaseFileLock, FileLock, SoftFileLock, Timeout

from kerasrl.errors import UserError, WriteError

_NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP)
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
    """Write a file beside `path`, flush it to the disk, rename it over `path` and flush the folder.

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
            flush_folder(target.parent)
        finally:
            beside.unlink(missing_ok=True)


def flush_folder(folder: Path) -> None:
    """Flush the names in a folder to the disk: without it, a power cut may undo a rename that others rely on."""
    if os.name == "nt":  # which opens no folders, and keeps the order of renames
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # a file system that keeps the order by itself
            raise
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def appearing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give the block a place beside `path` to write a file or a folder of that name; then put it where it belongs.

    Raises:
        OSError: It cannot be written; what was there stays.
    """
    target = Path(path)
    with naming(target):
        beside = tempfile.TemporaryDirectory(prefix=f".{target.name}.", suffix=".tmp", dir=target.parent)
    with beside:
        place, earlier = Path(beside.name, target.name), Path(beside.name, "earlier")
        yield place
        with naming(target):
            for file in [place, *place.rglob("*")]:
                if file.is_file():
                    with file.open("rb+") as written:
                        os.fsync(written.fileno())
            if target.is_dir():  # a folder cannot be renamed over another one
                os.replace(target, earlier)
            try:
                os.replace(place, target)
            except OSError:
                if earlier.exists():
                    os.replace(earlier, target)
                raise
            flush_folder(target.parent)


@contextlib.contextmanager
def exclusive(*folders: str | os.PathLike[str]) -> Iterator[None]:
    """Keep other trainings out of the folders, which are created if needed, while the block runs.

    The lock dies with its process; where the file system has no locks, a file with the number of the process serves
    instead, and a line on stderr says so. Unfinished files that an earlier process left behind are removed.

    Raises:
        UserError: Nothing can be written to a folder, or another process is using it.
    """
    is_told = False
    with contextlib.ExitStack() as stack:
        for folder in dict.fromkeys(Path(folder).resolve() for folder in folders):
            lock = _locked(folder)
            stack.callback(lock.release)
            if isinstance(lock, SoftFileLock) and not is_told:
                is_told = True
                print(
                    f"no file locks in {folder}: the file {Path(lock.lock_file).name} stands for one", file=sys.stderr
                )
            for file in folder.iterdir():
                if re.fullmatch(r"\.dqn_.*\.\d+\.tmp", file.name):
                    file.unlink(missing_ok=True)
        yield


def _locked(folder: Path) -> BaseFileLock:
    lock: BaseFileLock = FileLock(folder / ".lock")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # FileLock warns of some file systems without locks
                lock.acquire(timeout=0)
        except (OSError, NotImplementedError) as error:
            if isinstance(error, Timeout) or (isinstance(error, OSError) and error.errno not in _NO_LOCKS):
                raise
            lock = SoftFileLock(folder / ".lock.process")
            lock.acquire(timeout=0)
    except Timeout:
        by = f", or one that was killed left {lock.lock_file} behind" if isinstance(lock, SoftFileLock) else ""
        raise UserError(f"another training is writing to folder {folder}{by}; choose another folder") from None
    except OSError as error:
        reason = "it is a file" if isinstance(error, FileExistsError) else error.strerror
        raise UserError(f"folder {folder} cannot be written to: {reason}; choose another one") from None
    return lock
