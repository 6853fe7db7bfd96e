"""Delete what new runs have replaced: the only thing in this project that deletes anything of a user's."""

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

from kerasrl.config.agents import AGENTS
from kerasrl.config.commands import ClearConfig
from kerasrl.errors import UserError
from kerasrl.storage.earlier import EARLIER, places
from kerasrl.storage.files import exclusive, naming


def clear(config: ClearConfig) -> list[str]:
    """Delete the runs in `earlier` of the two folders, if whoever is asked says yes; return lines to print.

    Only files with the names that runs give them are deleted, and folders that are empty then.

    Raises:
        UserError: There is no terminal to ask in, or a training is going on in one of the folders.
        OSError: A file cannot be deleted.
    """
    folders = [Path(folder) for folder in dict.fromkeys((config.checkpoint_dir, config.log_dir))]
    homes = " and ".join(str(folder / EARLIER) for folder in folders)
    try:
        inside = [place for folder in folders for place in _places(folder)]
        found = [file for place in inside for file in _files(place)]
    except OSError as error:
        raise UserError(f"{error.filename} cannot be read: {error.strerror}; choose another folder") from None
    if not found:
        return [f"nothing to delete in {homes}"]
    what = f"{len(found)} files, {sum(file.lstat().st_size for file in found) / 1e6:,.1f} MB, in {homes}"
    if not config.yes:
        if sys.stdin is None or not sys.stdin.isatty():
            raise UserError(f"there is no terminal to ask whether to delete {what}; give --yes")
        if input(f"delete {what}? [y/N] ").strip().lower() not in ("y", "yes"):
            return ["nothing is deleted"]
    with exclusive(*filter(Path.is_dir, folders), *inside):
        for file in found:
            with naming(file):
                file.unlink(missing_ok=True)
        for place in reversed(inside):
            for folder in [*_matching(place, "*_tensorboard"), place, place.parent]:
                with contextlib.suppress(OSError):  # something else is in it
                    if not [file for file in folder.iterdir() if file.name != ".lock"]:
                        (folder / ".lock").unlink(missing_ok=True)
                        folder.rmdir()
    return [f"deleted {what}"]


def _places(folder: Path) -> Iterator[Path]:
    """Yield the places of earlier runs in a folder, each before those inside it."""
    for place in places(folder):
        if not place.is_symlink():
            yield place
            yield from _places(place)


def _files(place: Path) -> list[Path]:
    found = [*_matching(place, "*"), *_matching(place, "*_tensorboard/events.out.tfevents.*.kerasrl")]
    return [file for file in found if file.is_symlink() or not file.is_dir()]


def _matching(place: Path, names: str) -> list[Path]:
    return [file for agent in AGENTS for file in place.glob(f"{agent}_{names}")]
