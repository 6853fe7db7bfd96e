"""Files and folders that are made in a temporary folder beside their place, and appear there whole."""

import contextlib
import glob
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock

from kerasrl.storage.files import flush_folder, is_own, naming

_HELD = ".held"  # in a temporary folder: the lock of the process that uses it
_EARLIER = "earlier"  # in a temporary folder: what it is to replace, for a moment


@contextlib.contextmanager
def appearing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give the block a place beside `path` to write a file or folder of that name; then move it to where it belongs.

    Raises:
        OSError: It cannot be written; what was there stays.
    """
    target = Path(path)
    with contextlib.ExitStack() as stack:
        with naming(target):
            put_back(target)
            beside = stack.enter_context(temporary_folder(f".{target.name}.", target.parent))
        place, earlier = beside / target.name, beside / _EARLIER
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


def put_back(target: Path) -> None:
    """Put a folder back that `appearing` had moved out of the way of another when it was killed."""
    for left in _left_behind(f".{target.name}.", target.parent):
        if (left / _EARLIER).is_dir() and not os.path.lexists(target):
            os.replace(left / _EARLIER, target)
            flush_folder(target.parent)


@contextlib.contextmanager
def temporary_folder(prefix: str, parent: Path) -> Iterator[Path]:
    """Yield a new folder whose name begins with `prefix`; afterwards remove it.

    Those that processes left behind when they were killed are removed, too.
    """
    for left in _left_behind(prefix, parent):
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


def _left_behind(prefix: str, parent: Path) -> list[Path]:
    """Return the temporary folders of processes that were killed: nobody holds their locks any more."""
    found = []
    for folder in parent.glob(f"{glob.escape(prefix)}*.tmp"):
        with contextlib.suppress(OSError, RuntimeError):  # among them Timeout: it is in use
            if is_own(folder, stat.S_ISDIR) and (folder / _HELD).is_file():
                FileLock(folder / _HELD, timeout=0, fallback_to_soft=False).acquire().lock.release()
                found.append(folder)
    return found


def _remove(folder: Path) -> None:
    """Remove a temporary folder, the file of its lock late: what a kill meanwhile leaves is still known to be one."""
    for part in folder.iterdir():
        if part.is_dir() and not part.is_symlink():
            shutil.rmtree(part, ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)
