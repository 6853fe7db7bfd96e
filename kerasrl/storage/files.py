"""Files that appear whole or not at all, and folders that only one training writes to."""

import contextlib
import errno
import glob
import hashlib
import os
import re
import shutil
import stat
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from filelock import BaseFileLock, FileLock, SoftFileLock, Timeout

from kerasrl.config.agents import AGENTS
from kerasrl.errors import UserError, WriteError

_locks: dict[Path, tuple[Path, int]] = {}  # by folder: the file whose lock this process holds, and its descriptor
_NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP)
_HELD = ".held"  # in a temporary folder: the lock of the process that uses it
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
    if target.is_dir():
        raise UserError(f"{target} is a folder; name another file")
    try:
        with tempfile.TemporaryFile(dir=target.parent):
            pass
    except FileNotFoundError:
        raise UserError(f"folder {target.parent} does not exist; create it, or choose another one") from None
    except OSError as error:
        raise UserError(f"folder {target.parent} cannot be written to: {error.strerror}; choose another one") from None


def write_whole(path: str | os.PathLike[str], content: bytes) -> None:
    """Write a file that appears whole; raise `WriteError` if it cannot be written, and what was there stays."""
    with replacing(path) as file:
        file.write(content)


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """Give the block a file beside `path`; then flush it to the disk, rename it over `path` and flush the folder.

    If it cannot be written, WriteError is raised; what was there stays then, and also if the block raises anything.
    """
    target = Path(path)
    beside = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    require_lock(target)
    with naming(target):
        try:
            if os.path.lexists(beside):  # it may be a link, through which nothing is written
                beside.unlink()
            with beside.open("wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            require_lock(target)
            os.replace(beside, target)
            flush_folder(target.parent)
        finally:
            beside.unlink(missing_ok=True)


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
def appearing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give the block a place beside `path` to write a file or folder of that name; then move it to where it belongs.

    Raises:
        OSError: It cannot be written; what was there stays.
    """
    target = Path(path)
    with contextlib.ExitStack() as stack:
        with naming(target):
            beside = stack.enter_context(temporary_folder(f".{target.name}.", target.parent))
        place, earlier = beside / target.name, beside / "earlier"
        yield place
        with naming(target):
            for file in [place, *place.rglob("*")]:
                if file.is_file():
                    with file.open("rb+") as written:
                        os.fsync(written.fileno())
            if target.is_dir():  # a folder cannot be renamed over another
                os.replace(target, earlier)
            try:
                os.replace(place, target)
            except OSError:
                if earlier.exists():
                    os.replace(earlier, target)
                raise
            flush_folder(target.parent)


@contextlib.contextmanager
def temporary_folder(prefix: str, parent: Path) -> Iterator[Path]:
    """Yield a new folder whose name begins with `prefix`; afterwards remove it.

    Those that processes left behind when they were killed are removed, too: nobody holds their locks any more.
    """
    for left in parent.glob(f"{glob.escape(prefix)}*.tmp"):
        with contextlib.suppress(OSError, RuntimeError):  # among them Timeout: it is in use
            status = left.lstat()
            is_own = stat.S_ISDIR(status.st_mode) and status.st_uid == getattr(os, "getuid", lambda: 0)()
            if is_own and (left / _HELD).is_file():
                FileLock(left / _HELD, timeout=0, fallback_to_soft=False).acquire().lock.release()
                _remove(left)
    folder = Path(tempfile.mkdtemp(prefix=prefix, suffix=".tmp", dir=parent))
    lock = FileLock(folder / _HELD, timeout=0, fallback_to_soft=False)
    try:
        with contextlib.suppress(OSError, RuntimeError):  # without locks, it stays if this process is killed
            lock.acquire()
        yield folder
    finally:
        lock.release()
        _remove(folder)


def _remove(folder: Path) -> None:
    """Remove a temporary folder, the file of its lock late: what a kill meanwhile leaves is still known to be one."""
    for part in folder.iterdir():
        if part.is_dir() and not part.is_symlink():
            shutil.rmtree(part, ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)


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
