"""What is read from files that may come from strangers: bounded, of plain files only; JSON that ends in one error."""

import errno
import json
import os
import stat
from pathlib import Path
from typing import Any

MOST = 2**31  # bytes of the largest file that is read, or written to be read again


def read_file(path: str | os.PathLike[str], most: int = MOST) -> bytes:
    """Return a file's bytes.

    Raises:
        OSError: It cannot be read, has more than `most` bytes, or is a pipe, which may wait, or a device.
    """
    status = Path(path).stat()
    if not stat.S_ISREG(status.st_mode) and not stat.S_ISDIR(status.st_mode):
        raise OSError(errno.EINVAL, "it is a pipe or a device", os.fspath(path))
    with Path(path).open("rb") as file:  # of a folder, Python says that it is one
        if status.st_size > most:
            raise OSError(errno.EFBIG, f"it is larger than {most:,} bytes", os.fspath(path))
        return file.read(status.st_size)


def parse_json(text: str | bytes) -> Any:
    """Return what JSON says.

    Raises:
        ValueError: It is not JSON, or is nested too deeply, or has a number of thousands of digits.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
