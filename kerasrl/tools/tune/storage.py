"""Copies of a run's folder in a shared folder or a bucket, complete ones only, so that another machine can continue."""

import math
import shutil
from pathlib import Path
from typing import Any

from kerasrl.errors import UserError, one_line

_WHOLE = ".whole"  # written last


def check(place: str) -> None:
    """Raise `UserError` if nothing can be written to a folder or URL."""
    try:
        system, path = _opened(place)
        system.create_dir(path, recursive=True)
        with system.open_output_stream(f"{path}/{_WHOLE}"):
            pass
    except Exception as error:  # pyarrow has its own for each kind of storage
        raise UserError(f"storage {place} cannot be written to: {one_line(error)}") from None


def store(folder: Path, place: str, step: float) -> None:
    """Copy a folder to `place`, then remove the copies of earlier steps; step infinity is the end.

    Raises:
        OSError: It cannot be copied; the copies of earlier steps stay.
    """
    from pyarrow import fs

    system, path = _opened(place)
    copy = "end" if step == math.inf else f"{int(step):012}"
    if copy in _whole(system, path):
        return  # the same training writes the same
    earlier = _copies(system, path)
    system.create_dir(f"{path}/{copy}", recursive=True)
    fs.copy_files(str(folder.resolve()), f"{path}/{copy}", fs.LocalFileSystem(), system)
    with system.open_output_stream(f"{path}/{copy}/{_WHOLE}"):
        pass
    for name in earlier:
        if name != copy:
            system.delete_dir(f"{path}/{name}")


def remove(place: str) -> None:
    """Remove all copies."""
    system, path = _opened(place)
    for name in _copies(system, path):
        system.delete_dir(f"{path}/{name}")


def fetch(place: str, folder: Path, only_end: bool = False) -> bool:
    """Replace `folder` with the last copy in `place`, or empty it if there is none; return whether there is one.

    Raises:
        OSError: It cannot be copied.
    """
    from pyarrow import fs

    system, path = _opened(place)
    whole = [name for name in _whole(system, path) if name == "end" or not only_end]
    if only_end and not whole:
        return False
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    if whole:
        fs.copy_files(f"{path}/{max(whole)}", str(folder.resolve()), system, fs.LocalFileSystem())
        (folder / _WHOLE).unlink()
    return bool(whole)


def _opened(place: str) -> tuple[Any, str]:
    from pyarrow import fs

    return fs.FileSystem.from_uri(place if "://" in place else str(Path(place).resolve()))  # type: ignore[no-any-return]


def _copies(system: Any, path: str) -> list[str]:
    from pyarrow import fs

    found = system.get_file_info(fs.FileSelector(path, allow_not_found=True))
    return [info.base_name for info in found if info.type == fs.FileType.Directory]


def _whole(system: Any, path: str) -> list[str]:
    from pyarrow import fs

    names = _copies(system, path)
    marks = system.get_file_info([f"{path}/{name}/{_WHOLE}" for name in names])
    return [name for name, mark in zip(names, marks, strict=True) if mark.type == fs.FileType.File]
