"""Files that appear whole or not at all, and folders that can hold them."""

import os
import tempfile
from pathlib import Path

from kerasrl.errors import UserError


def write_whole(path: str | os.PathLike[str], content: bytes) -> None:
    """Write a file beside `path`, flush it to the disk and rename it over `path`.

    Raises:
        OSError: It cannot be written; what was there stays.
    """
    target = Path(path)
    beside = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        with beside.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, target)
    finally:
        beside.unlink(missing_ok=True)


def require_writable(folder: str | os.PathLike[str]) -> None:
    """Make `folder` unless it exists; raise `UserError` if nothing can be written there."""
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        reason = "it is a file" if isinstance(error, FileExistsError) else error.strerror
        raise UserError(f"folder {os.fspath(folder)} cannot be written to: {reason}; name another one") from None
