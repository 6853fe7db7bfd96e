"""Classes and functions that settings name as `module:name`."""

import contextlib
import os
import sys
from collections.abc import Iterator
from importlib import import_module
from importlib.machinery import PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

from kerasrl.errors import UserError, one_line
from kerasrl.installation import FOLDER, RECIPE

# This project's own, which any file may name, and where they are; there is no module `atari`.
OWN = {
    "atari:AtariProcessor": "kerasrl.environments.processors:AtariProcessor",
    "atari:SmallAtariProcessor": "kerasrl.environments.processors:SmallAtariProcessor",
    "atari:build_atari_network": "kerasrl.training.networks:build_atari_network",
    "atari:build_small_atari_network": "kerasrl.training.networks:build_small_atari_network",
    "atari:build_minatar_network": "kerasrl.training.networks:build_minatar_network",
}


def module(name: str, of: str = "") -> ModuleType:
    """Import a module, which may be in the current folder; raises what the import raises.

    Raises:
        UserError: No module can have such a name; the message begins with `of`, if it is given, which names it.
    """
    if not all(part.isidentifier() for part in name.split(".")):
        raise UserError(f"{of or name}: {name!r} cannot be the name of a module")
    import_module("kerasrl.compat.keras_rl")  # first: the module may import Keras-RL, which has to be repaired by then
    folder = str(Path.cwd())
    if folder not in sys.path:
        sys.path.append(folder)  # last, so that nothing there hides a library
    if folder != str(FOLDER):
        _stand_back()
    return import_module(name)


@contextlib.contextmanager
def libraries_only() -> Iterator[None]:
    """While the block runs, nothing is imported from the current folder, which may hold anybody's files."""
    before, here = sys.path[:], os.path.realpath(".")
    sys.path[:] = [path for path in before if os.path.realpath(path) != here]  # "" is the current folder, too
    try:
        yield
    finally:
        sys.path[:] = before


def is_library(name: str) -> bool:
    """Return whether a module is found without the current folder."""
    with libraries_only():
        return PathFinder.find_spec(name.partition(".")[0]) is not None


def _stand_back() -> None:
    """Let a user's model.py, callbacks.py, train.py or test.py be found before this project's."""
    if str(FOLDER) in sys.path:
        sys.path.remove(str(FOLDER))
        sys.path.append(str(FOLDER))
    for name in RECIPE:
        file = getattr(sys.modules.get(name), "__file__", None)
        if file is not None and Path(file).parent == FOLDER:
            del sys.modules[name]  # whoever has imported it keeps it


def named(name: str) -> Any:
    """Return the class or function that `module:name` names; raises `UserError` if it cannot be found."""
    module_name, _, attribute = OWN.get(name, name).partition(":")
    try:
        found = module(module_name, name)
    except (ImportError, TypeError) as error:  # TypeError: a relative name
        raise UserError(f"{name}: module {module_name} cannot be imported: {one_line(error)}") from error
    if not hasattr(found, attribute):
        raise UserError(f"{name}: module {module_name} has no {attribute}")
    if not callable(getattr(found, attribute)):
        raise UserError(f"{name} is neither a class nor a function")
    return getattr(found, attribute)
