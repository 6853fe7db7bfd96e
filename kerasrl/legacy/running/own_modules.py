"""A script's own modules whose names Python's or a library's modules have, which are imported already.

Run by itself, the script would find its own first. Here it does, too, while everybody else keeps theirs.
"""

import builtins
import contextlib
import sys
from collections.abc import Mapping
from types import ModuleType
from typing import Any

from kerasrl.legacy.script import script

_own: dict[str, ModuleType] = {}  # by the names that others have


def provide(names: dict[str, Any]) -> None:
    """Let the import statements of a script's module find the script's own modules first."""
    names["__builtins__"] = builtins
    beside: set[str] = set()
    with contextlib.suppress(OSError):  # a folder that may not be listed
        beside = {file.stem for file in script.folder.iterdir()} if script.folder is not None else set()
    if any(map(_is_hidden, beside & sys.modules.keys() - {"__main__"})):
        names["__builtins__"] = {**vars(builtins), "__import__": _import}


def _import(
    name: str,
    globals: Mapping[str, object] | None = None,
    locals: Mapping[str, object] | None = None,
    fromlist: tuple[str, ...] | None = (),
    level: int = 0,
) -> ModuleType:
    top = name.partition(".")[0]
    if level or top not in sys.modules or top == "__main__" or not _is_hidden(top):
        return builtins.__import__(name, globals, locals, fromlist or (), level)
    theirs = _taken(top)
    sys.modules.update({name: module for name, module in _own.items() if _is_of(name, top)})
    try:
        return builtins.__import__(name, globals, locals, fromlist or (), level)
    finally:
        _own.update(_taken(top))
        sys.modules.update(theirs)


def _is_hidden(top: str) -> bool:
    """Return whether a module that is imported hides one in the script's folder."""
    if script.folder is None or script.is_own(getattr(sys.modules[top], "__file__", None) or "<built in>"):
        return False
    return (script.folder / f"{top}.py").is_file() or (script.folder / top / "__init__.py").is_file()


def _taken(top: str) -> dict[str, ModuleType]:
    """Return a module and those in it, which are no longer imported."""
    return {name: sys.modules.pop(name) for name in list(sys.modules) if _is_of(name, top)}


def _is_of(name: str, top: str) -> bool:
    return name == top or name.startswith(f"{top}.")
