"""Where this project's own files are, and what to type to run its commands.

In a checkout the recipe (train.py, test.py, model.py, callbacks.py), presets/ and spaces/ are in the folder that holds
this package. Where only the package is installed, they are in its folder `_recipe`.
"""

import os
import time
from pathlib import Path

STARTED = time.monotonic()  # the program, as far as Python can tell: this module is among the first to be imported

COMMANDS = ("train", "test", "plot", "play", "export", "tune", "new", "clear")
RECIPE = ("model", "callbacks", "train", "test")  # its modules, in the order in which they may import each other

PACKAGES = Path(__file__).resolve().parents[1]  # where `import kerasrl` finds this package
_INSTALLED = Path(__file__).with_name("_recipe")
IS_INSTALLED = _INSTALLED.is_dir()
FOLDER = _INSTALLED if IS_INSTALLED else PACKAGES


def words(command: str) -> list[str]:
    """Return what to type after `python`, in the current folder, to run a command."""
    file = FOLDER / f"{command}.py"
    is_file = not IS_INSTALLED and command in ("train", "test")
    return [os.path.relpath(file)] if is_file else ["-m", "kerasrl", command]
