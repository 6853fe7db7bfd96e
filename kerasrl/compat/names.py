"""Things that settings name as `module:name`, and the modules of the user's own that bear the names of this project's.

The recipe's modules have plain names (model, config, ...), which a user's module may have, too. So a module in the
current folder that has such a name is kept under a longer one, `FOLDER.name`, and an `import config` in a file of that
folder gets it. All other imports are as ever.
"""

import builtins
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from kerasrl.commands import FOLDER
from kerasrl.errors import UserError

_RECIPE = frozenset(file.stem for file in FOLDER.glob("*.py"))
_packages: dict[Path, str] = {}  # user's folder -> package that has the modules there
_import = builtins.__import__


def module(name: str) -> ModuleType:
    """Import a module, also one in the current folder; raises what the import raises."""
    import_module("kerasrl.compat.keras_rl")  # first: the module may import Keras-RL, which has to be repaired by then
    folder = Path.cwd()
    if str(folder) not in sys.path:
        sys.path.append(str(folder))  # last, so that nothing there hides a library
    if folder not in _packages and any(_is_hidden(own, folder) for own in _RECIPE):
        package = ModuleType(str(folder).replace(".", "_").replace(":", "_"))
        package.__path__ = [str(folder)]
        sys.modules[package.__name__] = package
        _packages[folder] = package.__name__
        builtins.__import__ = _import_for
    return import_module(f"{_packages[folder]}.{name}" if _is_hidden(name.partition(".")[0], folder) else name)


def _is_hidden(name: str, folder: Path) -> bool:
    """Return whether a user's folder has a module of this name, but `import` finds this project's."""
    if name not in _RECIPE or folder.samefile(FOLDER):
        return False
    return (folder / f"{name}.py").is_file() or (folder / name / "__init__.py").is_file()


def _import_for(name: str, globals: Any = None, locals: Any = None, fromlist: Any = (), level: int = 0) -> ModuleType:
    """Import as ever, but for a file in a user's folder the module that is there instead of this project's."""
    top = name.partition(".")[0]
    if level == 0 and top in _RECIPE:
        for folder, package in _packages.items():
            if _is_in(folder, (globals or {}).get("__file__")) and _is_hidden(top, folder):
                found = _import(f"{package}.{name}", globals, locals, fromlist, 0)
                return found if fromlist else sys.modules[f"{package}.{top}"]  # `import a.b` binds a
    return _import(name, globals, locals, fromlist, level)


def _is_in(folder: Path, file: str | None) -> bool:
    """Return whether a file is in a user's folder, and none of this project's, which may be in there, too."""
    if file is None or not Path(file).is_relative_to(folder):
        return False
    return folder.is_relative_to(FOLDER) or not Path(file).resolve().is_relative_to(FOLDER)


def named(name: str) -> Any:
    """Return the class or function that `module:name` names; raises `UserError` if there is none."""
    module_name, _, attribute = name.partition(":")
    if not all(part.isidentifier() for part in module_name.split(".")):
        raise UserError(f"{name}: {module_name!r} is no name of a module")
    try:
        found = module(module_name)
    except (ImportError, TypeError) as error:  # TypeError: a relative name
        raise UserError(f"{name}: module {module_name} cannot be imported: {' '.join(str(error).split())}") from error
    if not hasattr(found, attribute):
        raise UserError(f"{name}: module {module_name} has no {attribute}")
    if not callable(getattr(found, attribute)):
        raise UserError(f"{name} is neither a class nor a function")
    return getattr(found, attribute)
