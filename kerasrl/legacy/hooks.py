"""Import hooks that act on exact names: what a library lost is found again, what changed is translated when it is used.

Nothing is imported before the script imports it, so that what it sets in the environment first takes effect.
"""

import ast
import builtins
import contextlib
import importlib.util
import sys
from collections.abc import Callable, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from kerasrl.legacy import gym, keras, keras_rl, others, syntax, tensorflow
from kerasrl.legacy.notes import notes

_ROOMS = (keras, tensorflow, gym, keras_rl, others)

# Module -> what to do once it has been imported.
_LOADED: dict[str, Callable[[ModuleType], None]] = {name: then for room in _ROOMS for name, then in room.LOADED.items()}
# Module -> what to do just before it is imported.
_BEFORE: dict[str, Callable[[], None]] = {name: first for room in _ROOMS for name, first in room.BEFORE.items()}
# Module -> what surrounds its import.
_AROUND: dict[str, Callable[[], Any]] = {**keras.AROUND, **tensorflow.AROUND}


class _ThenLoader(Loader):
    """Load a module as it would be, with what has to be done before and after."""

    def __init__(self, loader: Any, name: str) -> None:
        self.loader, self.name = loader, name

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        module: ModuleType | None = self.loader.create_module(spec)
        return module

    def exec_module(self, module: ModuleType) -> None:
        with _AROUND.get(self.name, contextlib.nullcontext)():
            self.loader.exec_module(module)
        _LOADED[self.name](sys.modules.get(self.name, module))  # a module may put another in its place

    def __getattr__(self, name: str) -> Any:
        return getattr(self.loader, name)  # get_source, get_data, ... for tracebacks and resources


class _OwnLoader(SourceFileLoader):
    """Load a module of the script's own, its syntax tree translated; leaves no bytecode behind."""

    def get_code(self, fullname: str) -> CodeType | None:
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)

    def source_to_code(self, data: Any, path: Any, *, _optimize: int = -1) -> CodeType:  # type: ignore[override]
        return syntax.compiled(data, str(path))

    def exec_module(self, module: ModuleType) -> None:
        syntax.provide(vars(module))
        super().exec_module(module)


class _GivenLoader(Loader):
    """Load a module that there is already."""

    def __init__(self, module: ModuleType) -> None:
        self.module, self.spec = module, module.__spec__

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return self.module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self.spec or module.__spec__  # a module that was found keeps what it was found with


class OldNames(MetaPathFinder):
    """Find modules under the names of their time."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the spec of a module that is lost, changed, or the script's own; None for all others."""
        if fullname in _BEFORE:
            _BEFORE[fullname]()
        spec = _found(fullname, path, target)
        if spec is None or spec.origin is None:  # nothing, or just a folder of that name
            for room in _ROOMS:
                module = room.lost_module(fullname)
                if module is not None:
                    return importlib.util.spec_from_loader(fullname, _GivenLoader(module), is_package=True)
        if spec is None:
            return None
        if fullname in _LOADED and spec.loader is not None:
            spec.loader = _ThenLoader(spec.loader, fullname)
        elif isinstance(spec.loader, SourceFileLoader) and spec.origin is not None and notes.is_own(spec.origin):
            spec.loader = _OwnLoader(spec.loader.name, spec.loader.path)
        return spec


def _found(fullname: str, path: Sequence[str] | None, target: ModuleType | None) -> ModuleSpec | None:
    """Return what the other finders find."""
    for finder in sys.meta_path:
        if not isinstance(finder, OldNames):
            spec = finder.find_spec(fullname, path, target)
            if spec is not None:
                return spec
    return None


def activate() -> None:
    """Translate from here on, also in modules of these libraries that have been imported already."""
    if any(isinstance(finder, OldNames) for finder in sys.meta_path):
        return
    sys.meta_path.insert(0, OldNames())
    for name, then in _LOADED.items():
        if name in sys.modules:
            then(sys.modules[name])


def deactivate() -> None:
    """Translate no imports from here on."""
    sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, OldNames)]


def follow_main() -> None:
    """Take what imports this package, a script or a notebook, for the one to be translated; `runner` says otherwise.

    A script's own syntax tree has been compiled by then: its calls of `step` and `reset` stay as they are. A notebook's
    next cells are translated like a script.
    """
    main = sys.modules["__main__"]
    file = getattr(main, "__file__", None)
    if file is not None:
        notes.script, notes.root = file, Path(file).resolve().parent
        with contextlib.suppress(OSError, SyntaxError, ValueError):
            syntax.note_kerases(ast.parse(Path(file).read_bytes()))
    elif hasattr(builtins, "get_ipython"):
        notebook = builtins.get_ipython()
        notes.options.tell = "at once"
        notebook.ast_transformers.append(syntax.CellTransformer())
        syntax.provide(notebook.user_ns)
