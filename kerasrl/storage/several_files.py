"""Weights that are in several files, such as those of an actor and its critic, read as one."""

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path

from kerasrl.errors import WeightsError
from kerasrl.storage.weights import Weights, exists, read


def files_of(path: str | os.PathLike[str], suffixes: Sequence[str]) -> list[str]:
    """Return the files of the weights called `path`: in each, a suffix stands before the name's ending."""
    path = Path(path)
    return [str(path.parent / f"{path.stem}{suffix}{path.suffix}") for suffix in suffixes]


def find(path: str | os.PathLike[str], suffixes: Sequence[str]) -> list[str]:
    """Return the files of the weights that are called `path` or of which `path` is one: those of which most exist."""
    path = Path(os.fspath(path).removesuffix(".index"))
    stems = [path.stem.removesuffix(suffix) for suffix in suffixes if path.stem.endswith(suffix)]
    stems = [*stems, path.stem] if exists(path) else [path.stem, *stems]
    found = [files_of(path.parent / (stem + path.suffix), suffixes) for stem in stems]
    return max(found, key=lambda files: sum(map(exists, files)))  # the first of several


def read_all(files: Sequence[str]) -> Weights:
    """Read weights from all of their files, one after the other; the first has the metadata.

    Raises:
        WeightsError: A file is missing or damaged, or they were not written together.
    """
    missing = [file for file in files if not exists(file)]
    if 0 < len(missing) < len(files):
        rest = next(file for file in files if exists(file))
        raise WeightsError(
            f"there is no weights file {missing[0]}, without which {rest} is only a part: put them into one folder"
        )
    parts = [read(file) for file in files]
    if len({part.together for part in parts}) > 1:  # somebody may be writing them just now
        parts = [read(file) for file in files]
    if len({part.together for part in parts}) > 1:
        raise WeightsError(
            f"{' and '.join(files)} were not written together, as when a program is killed between them: use other "
            "weights, or resume the training, which writes both again"
        )
    layers = [layer for part in parts for layer in part.layers]
    return dataclasses.replace(parts[0], layers=layers, ordered=all(part.ordered for part in parts))
