"""Reading files that may come from strangers: only regular files of a bounded size; JSON that fails in one way."""

import errno
import json
import os
import stat
from pathlib import Path
from typing import Any

MOST = 2**31  # bytes of the largest file that is read, or written to be read again


def read_file(path: str | os.PathLike[str], most: int = MOST) -> bytes:
    """Return a file's bytes; raise `OSError` also if they are more than `most`, or it is a device or a pipe."""
    status = Path(path).stat()
    if not stat.S_ISREG(status.st_mode) and not stat.S_ISDIR(status.st_mode):
        raise OSError(errno.EINVAL, "it is a pipe or a device", os.fspath(path))  # which might block
    with Path(path).open("rb") as file:  # for a folder, Python's own error says so
        if status.st_size > most:
            raise OSError(errno.EFBIG, f"it is larger than {most:,} bytes", os.fspath(path))
        return file.read(status.st_size)


def parse_json(text: str | bytes) -> Any:
    """Return what JSON says; raise `ValueError` if it is damaged, nested too deeply, or has an enormous number."""
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
