"""The recipe's commands: where their files are, running them by `python -m kerasrl NAME`, and what to type for them.

In a checkout the recipe (train.py, config.py, ...) is the folder that holds this package. Where only the package is
installed, its files are in the folder `_recipe` here, and not among everybody's modules.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

COMMANDS = ("train", "test", "plot", "export", "tune")

_INSTALLED = Path(__file__).with_name("_recipe")
IS_INSTALLED = _INSTALLED.is_dir()
FOLDER = _INSTALLED if IS_INSTALLED else Path(__file__).resolve().parents[1]


def run(command: str, arguments: Sequence[str]) -> None:
    """Run a command's file as `python FILE arguments` would; it ends the process."""
    import runpy  # here: it takes a while, and everything imports this module

    file = str(FOLDER / f"{command}.py")
    sys.argv = [file, *arguments]
    sys.path[0] = str(FOLDER)
    runpy.run_path(file, run_name="__main__")


def words(command: str) -> list[str]:
    """Return what is typed after `python`, in the current folder, to run a command."""
    return ["-m", "kerasrl", command] if IS_INSTALLED else [os.path.relpath(FOLDER / f"{command}.py")]
