"""Reading files that may come from strangers: only regular files of a bounded size; JSON that fails in one way."""

import errno
import json
import os
import stat
from pathlib import Path
from typing import Any

MOST = 2**31  # bytes of the largest file that is read, or written to be read again
_FEW, _HOLLOW = (
    2**26,
    16,
)  # bytes that take no time; how many times its bytes on the disk a larger file may seem to have


def read_file(path: str | os.PathLike[str], most: int = MOST) -> bytes:
    """Return a file's bytes.

    Raises:
        OSError: Also if they are more than `most`, or hardly any of them are on the disk, or it is a device or a pipe.
    """
    status = Path(path).stat()
    if not stat.S_ISREG(status.st_mode) and not stat.S_ISDIR(status.st_mode):
        raise OSError(errno.EINVAL, "it is a pipe or a device", os.fspath(path))  # which might block
    with Path(path).open("rb") as file:  # for a folder, Python's own error says so
        if status.st_size > most:
            raise OSError(errno.EFBIG, f"it is larger than {most:,} bytes", os.fspath(path))
        if is_hollow(file.fileno(), status.st_size):
            raise OSError(errno.EFBIG, f"it has {status.st_size:,} bytes, but most are holes", os.fspath(path))
        return file.read(status.st_size)


def is_hollow(descriptor: int, nb_bytes: int) -> bool:
    """Return whether so many bytes of a file would be holes: an archive of 200 bytes can unpack to gigabytes of them.

    Where a system does not tell, none are.
    """
    if nb_bytes <= _FEW or not hasattr(os, "SEEK_DATA"):
        return False
    found, at, size = 0, 0, os.fstat(descriptor).st_size
    try:
        while at < size and found * _HOLLOW < nb_bytes:
            begin = os.lseek(descriptor, at, os.SEEK_DATA)
            at = os.lseek(descriptor, begin, os.SEEK_HOLE)
            found += at - begin
    except OSError as error:
        if error.errno != errno.ENXIO:  # nothing but a hole is left
            return False
    finally:
        os.lseek(descriptor, 0, os.SEEK_SET)
    return found * _HOLLOW < nb_bytes


def parse_json(text: str | bytes) -> Any:
    """Return what JSON says; raise `ValueError` if it is damaged, nested too deeply, or has an enormous number."""
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
