"""Things that settings name as `module:name`."""

import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from kerasrl.errors import UserError


def module(name: str) -> ModuleType:
    """Import a module, also one in the current folder; raises what the import raises."""
    import_module("kerasrl.compat.keras_rl")  # first: the module may import Keras-RL, which has to be repaired by then
    if str(Path.cwd()) not in sys.path:
        sys.path.append(str(Path.cwd()))  # last, so that nothing there hides a library
    return import_module(name)


def named(name: str) -> Any:
    """Return the class or function that `module:name` names; raises `UserError` if there is none."""
    module_name, _, attribute = name.partition(":")
    try:
        found = module(module_name)
    except (ImportError, TypeError) as error:  # TypeError: a relative name
        raise UserError(f"{name}: module {module_name} cannot be imported: {' '.join(str(error).split())}") from error
    if not hasattr(found, attribute):
        raise UserError(f"{name}: module {module_name} has no {attribute}")
    if not callable(getattr(found, attribute)):
        raise UserError(f"{name} is neither a class nor a function")
    return getattr(found, attribute)
