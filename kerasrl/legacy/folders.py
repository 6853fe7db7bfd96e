"""Folders that scripts write to: their repositories had them, and TensorFlow 2's Keras made them."""

import os
from pathlib import Path

from kerasrl.legacy.notes import notes


def make_folder_of(file: str | os.PathLike[str]) -> None:
    """Make the folder of a file that will be written, unless it is there or its name is not complete yet."""
    folder = Path(file).parent
    if not folder.exists() and "{" not in str(folder):
        folder.mkdir(parents=True)
        notes.translated(f"folder {folder} -> made, since it was missing")
