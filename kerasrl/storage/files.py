"""Files that appear whole or not at all, and folders that only one training writes to."""

import contextlib
import errno
import hashlib
import os
import re
import stat
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from filelock import BaseFileLock, FileLock, SoftFileLock, Timeout

from kerasrl.config.agents import AGENTS
from kerasrl.errors import UserError, WriteError

_locks: dict[Path, tuple[Path, int]] = {}  # by folder: the file whose lock this process holds, and its descriptor
_NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP)
_UNFINISHED = re.compile(
    rf"\.(({'|'.join(AGENTS)})_.*|settings\.json|result\.json|trials\.csv|best\.toml|\w+\.png)\.\d+\.tmp"
)
BLOCK = 512  # bytes before sealed content; HDF5 can begin after them


class DamagedError(Exception):
    """A sealed file is not what was written."""


def seal(kind: bytes, content: bytes) -> bytes:
    """Return the content behind a block of 512 bytes with the kind of the file and a checksum."""
    head = kind + b"\nsha256 " + hashlib.sha256(content).hexdigest().encode() + b"\n"
    return head.ljust(BLOCK, b"\0") + content


def unseal(kind: bytes, sealed: bytes) -> bytes:
    """Return the content behind the seal; raise `DamagedError` if its kind is another or it is not what was sealed."""
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


def require_place(path: str | os.PathLike[str]) -> None:
    """Raise `UserError` unless a file can be written to `path`: before the work that it is to hold is done."""
    target = Path(path)
    require_writable(target.parent)
    if target.is_dir():
        raise UserError(f"{target} is a folder; name another file")


def require_writable(folder: Path) -> None:
    """Raise `UserError` unless files can be written to a folder."""
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except FileNotFoundError:
        raise UserError(f"folder {folder} does not exist; create it, or choose another one") from None
    except OSError as error:
        raise UserError(f"folder {folder} cannot be written to: {error.strerror}; choose another one") from None


def write_whole(path: str | os.PathLike[str], content: bytes) -> None:
    """Write a file that appears whole; raise `WriteError` if it cannot be written, and what was there stays."""
    with replacing(path) as file:
        file.write(content)


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """Give the block a file beside `path`; then flush it to the disk, rename it over `path` and flush the folder.

    If it cannot be written, WriteError is raised; what was there stays then, and also if the block raises anything.
    What others left beside `path` when they were killed while they wrote it is removed.
    """
    target = Path(path)
    beside = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    require_lock(target)
    with naming(target):
        try:
            _remove_unfinished(target)
            if os.path.lexists(beside):  # it may be a link, through which nothing is written
                beside.unlink()
            with beside.open("wb") as file:
                _locks_file(file)
                yield file
                file.flush()
                os.fsync(file.fileno())
            require_lock(target)
            os.replace(beside, target)
            flush_folder(target.parent)
        finally:
            beside.unlink(missing_ok=True)


def _remove_unfinished(target: Path) -> None:
    """Remove what processes that were killed have written of a file: their numbers and their locks are free again."""
    pattern = re.compile(rf"\.{re.escape(target.name)}\.(\d+)\.tmp")
    with contextlib.suppress(OSError):  # of a folder that may be written to, but not be listed
        for left in target.parent.iterdir():
            if (found := pattern.fullmatch(left.name)) and is_own(left, stat.S_ISREG) and not _lives(int(found[1])):
                with left.open("rb") as file:
                    if _locks_file(file):  # no process of another machine or container is writing it
                        left.unlink()


def is_own(path: Path, is_kind: Callable[[int], bool]) -> bool:
    """Return whether a path is one of this user's, of a kind, and no link."""
    status = path.lstat()
    return is_kind(status.st_mode) and status.st_uid == getattr(os, "getuid", lambda: 0)()


def _lives(process: int) -> bool:
    """Return whether there may be a process of this number."""
    if os.name == "nt":  # where asking would end it
        return True
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # it is another user's
        return True
    return True


def _locks_file(file: IO[bytes]) -> bool:
    """Lock an open file until it is closed; return whether that was possible."""
    try:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (ImportError, OSError):
        return False
    return True


def flush_folder(folder: Path) -> None:
    """Flush the names in a folder to the disk: without it, a power cut may undo a rename that others rely on."""
    if os.name == "nt":  # Windows cannot open folders, and keeps renames in order
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # such a file system keeps them in order by itself
            raise
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def exclusive(*folders: str | os.PathLike[str]) -> Iterator[None]:
    """Keep other trainings out of the folders, which are created if needed, while the block runs.

    The lock dies with its process; if the file system does not support locks, a file with the number of the process
    serves instead, and a line on stderr says so. Unfinished files that an earlier process left behind are removed.
    Raises UserError if a folder cannot be written to, or another process is using it.
    """
    has_noted = False
    with contextlib.ExitStack() as stack:
        for folder in dict.fromkeys(Path(folder).resolve() for folder in folders):
            lock = _locked(folder)
            stack.callback(lock.release)
            stack.enter_context(_watched(folder, Path(lock.lock_file)))
            if isinstance(lock, SoftFileLock) and not has_noted:
                has_noted = True
                note = f"no file locks in {folder}: the file {Path(lock.lock_file).name} stands for one"
                print(note, file=sys.stderr)
            for file in folder.iterdir():
                if _UNFINISHED.fullmatch(file.name):
                    file.unlink(missing_ok=True)
        yield


@contextlib.contextmanager
def _watched(folder: Path, lock: Path) -> Iterator[None]:
    """While the block runs, let `require_lock` notice that the lock's file is gone."""
    with lock.open("rb") as opened:  # while it is open, no other file can get its number
        _locks[folder] = (lock, opened.fileno())
        try:
            yield
        finally:
            del _locks[folder]


def require_lock(target: Path) -> None:
    """Raise `WriteError` if this process has locked a file's folder, but the lock is not in that folder any more.

    Whoever removes a folder removes its lock, too, and another training may begin in a new folder of that name.
    """
    lock, opened = _locks.get(target.parent.resolve(), (None, -1))
    if lock is None or not lock.parent.exists():  # without the folder, the system says what is wrong
        return
    if not (lock.exists() and os.path.samestat(lock.stat(), os.fstat(opened))):
        reason = "the folder has been removed or replaced since this training began"
        raise WriteError(errno.ESTALE, reason, os.fspath(target))


def _locked(folder: Path) -> BaseFileLock:
    lock: BaseFileLock = FileLock(folder / ".lock", fallback_to_soft=False)  # done below, and said
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # FileLock warns about some file systems without locks
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
