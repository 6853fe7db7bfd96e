"""What something new would replace moves out of its way, to `earlier/N` in the folder that it is in; N counts up.

A journal in each folder says so before anything moves, so that the next start completes a move that was interrupted.
Nothing is copied or deleted, and nothing is moved through a link.
"""

import contextlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from kerasrl.config.resuming import id_of
from kerasrl.errors import UserError
from kerasrl.reading import parse_json, read_file
from kerasrl.storage.files import flush_folder, naming, write_whole

EARLIER = "earlier"


def run_of(agent: Any) -> str:
    """Return the id of the run that an agent belongs to, "" if it belongs to none."""
    return id_of(getattr(agent, "metadata", None))


def carries(file: Path, run: str) -> bool:
    """Return whether a file is one of the run with this id, which all of its files have somewhere in them."""
    try:
        return not file.is_symlink() and run.encode() in read_file(file)
    except OSError:
        return False


def places(folder: Path) -> list[Path]:
    """Return the folders `earlier/N` in a folder, the latest first.

    Raises:
        UserError: `earlier` is a link, or cannot be read.
    """
    home = folder / EARLIER
    try:
        if home.is_symlink():
            raise UserError(f"{home} is a link, and nothing is moved through links; remove it or name another folder")
        found = [place for place in home.iterdir() if place.name.isdecimal()] if home.is_dir() else []
    except OSError as error:
        raise UserError(f"{home} cannot be read: {error.strerror}; choose another folder") from None
    return sorted(found, key=lambda place: int(place.name), reverse=True)


def next_number(*folders: Path) -> int:
    """Return the first number above those that have been used in any of the folders."""
    return max((int(place.name) for folder in folders for place in places(folder)[:1]), default=0) + 1


def is_interrupted(journal: str, *folders: Path) -> bool:
    """Return whether a move from one of the folders began and was not completed."""
    return any(_read(folder / journal) for folder in folders)


def set_aside(files: Mapping[Path, Sequence[Path]], journal: str) -> dict[Path, Path]:
    """Move files to `earlier/N` in their folders, all with the same N; complete a move that was interrupted.

    Args:
        files: For each folder, files in it or below it.
        journal: Name of the journal in each folder.

    Returns:
        The new place for each folder from which something was moved.

    Raises:
        UserError: The place is behind a link.
        OSError: A file cannot be moved; the next start completes the move.
    """
    number, folders = next_number(*files), list(files)
    for begun in filter(None, [_read(folder / journal) for folder in files]):
        number = begun["number"]
        both = begun["folders"] == _names(files)  # otherwise what is in the other folder is another run's
        place = Path(EARLIER, str(number))
        folders = [f for f in files if _read(f / journal) or (both and not os.path.lexists(f / place))]
    moves = {
        folder: [(file, folder / EARLIER / str(number) / file.relative_to(folder)) for file in files[folder]]
        for folder in folders
    }
    if any(os.path.lexists(target) for pairs in moves.values() for _, target in pairs):
        _remove(journal, folders)  # somebody has put other files there since
        return set_aside({folder: files[folder] for folder in folders}, journal)
    told = json.dumps({"number": number, "folders": _names(files)}).encode()
    for folder, pairs in moves.items():
        if pairs:
            write_whole(folder / journal, told)
    for folder, pairs in moves.items():
        _move(folder, pairs)
    _remove(journal, [folder for folder in folders if os.path.lexists(folder / journal)])
    return {folder: folder / EARLIER / str(number) for folder, pairs in moves.items() if pairs}


def _names(folders: Iterable[Path]) -> list[str]:
    return sorted(str(folder.resolve()) for folder in folders)


def _read(journal: Path) -> dict[str, Any] | None:
    """Return a journal, None if there is none that can be used."""
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
        begun: dict[str, Any] = parse_json(read_file(journal, 2**16))
        if type(begun["number"]) is int and 0 < begun["number"] < 2**31 and isinstance(begun["folders"], list):
            return begun
    return None


def _move(folder: Path, pairs: Sequence[tuple[Path, Path]]) -> None:
    changed = set()
    for file, target in pairs:
        with naming(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            file.rename(target)
        changed |= {place for place in (*file.parents, *target.parents) if place.is_relative_to(folder)}
    for place in sorted(changed, key=lambda place: -len(place.parts)):
        with naming(place):
            flush_folder(place)


def _remove(journal: str, folders: Iterable[Path]) -> None:
    for folder in folders:
        with naming(folder / journal):
            (folder / journal).unlink(missing_ok=True)
