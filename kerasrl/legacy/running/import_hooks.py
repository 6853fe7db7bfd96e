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

from kerasrl.legacy import others, seeding
from kerasrl.legacy.gym import names as gym
from kerasrl.legacy.keras import names as keras
from kerasrl.legacy.keras_rl import names as keras_rl
from kerasrl.legacy.running import environment_calls, own_modules, syntax
from kerasrl.legacy.script import script
from kerasrl.legacy.tensorflow import names as tensorflow

# Module -> what to do just before it is imported.
_BEFORE: dict[str, Callable[[], None]] = {
    "keras": keras.choose_tensorflow, "tensorflow": keras.leave_keras_2, "tensorflow.keras": keras.leave_keras_2,
    "gym": gym.quiet,
}  # fmt: skip
# Module -> what surrounds its import.
_AROUND: dict[str, Callable[[], Any]] = {"keras": seeding.undrawn, "tensorflow": tensorflow.quietly}
# Module -> what to do once it has been imported.
_LOADED: dict[str, Callable[[ModuleType], None]] = {
    **keras.LOADED, **tensorflow.LOADED, **gym.LOADED, **keras_rl.LOADED, **others.LOADED,
}  # fmt: skip
# What returns a module that a library dropped, None for names that it does not know.
_LOST = (keras.lost_module, tensorflow.lost_module, gym.lost_module, keras_rl.lost_module)


class _ThenLoader(Loader):
    """Load a module as usual, with what has to be done around it and afterwards."""

    def __init__(self, loader: Any, name: str) -> None:
        self.loader, self.name = loader, name

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self.loader.create_module(spec)  # type: ignore[no-any-return]

    def exec_module(self, module: ModuleType) -> None:
        with _AROUND.get(self.name, contextlib.nullcontext)():
            self.loader.exec_module(module)
        _LOADED[self.name](sys.modules.get(self.name, module))  # a module may replace itself

    def __getattr__(self, name: str) -> Any:
        return getattr(self.loader, name)  # get_source, get_data, ... for tracebacks and resources


class _OwnLoader(SourceFileLoader):
    """Load one of the script's own modules, its syntax tree translated; writes no bytecode."""

    def get_code(self, fullname: str) -> CodeType | None:
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)

    def source_to_code(self, data: Any, path: Any, *, _optimize: int = -1) -> CodeType:  # type: ignore[override]
        return syntax.compiled(data, str(path))

    def exec_module(self, module: ModuleType) -> None:
        environment_calls.provide(vars(module))
        own_modules.provide(vars(module))
        super().exec_module(module)


class _GivenLoader(Loader):
    """Load a module that exists already."""

    def __init__(self, module: ModuleType) -> None:
        self.module, self.spec = module, module.__spec__

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return self.module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self.spec or module.__spec__  # a module keeps the spec that it was found with


class OldNames(MetaPathFinder):
    """Finds modules under the names of their time."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the spec of a module, with what is done for one that is lost, changed, or the script's own."""
        if fullname in _BEFORE:
            _BEFORE[fullname]()
        finders = (finder for finder in sys.meta_path if not isinstance(finder, OldNames))
        specs = (finder.find_spec(fullname, path, target) for finder in finders)
        spec = next((spec for spec in specs if spec is not None), None)
        is_keras_2 = fullname.partition(".")[0] == "tf_keras"  # which the script may have installed
        if spec is None or spec.origin is None or is_keras_2:  # nothing, or just a folder of that name
            for lost_module in _LOST:
                module = lost_module(fullname)
                if module is not None:
                    return importlib.util.spec_from_loader(fullname, _GivenLoader(module), is_package=True)
        if spec is None:
            return None
        if fullname in _LOADED and spec.loader is not None:
            spec.loader = _ThenLoader(spec.loader, fullname)
        elif isinstance(spec.loader, SourceFileLoader) and spec.origin is not None and script.is_own(spec.origin):
            spec.loader = _OwnLoader(spec.loader.name, spec.loader.path)
        return spec


def activate() -> None:
    """Translate from here on, including modules of these libraries that have been imported already."""
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
    """Translate the script or notebook that imports this package, unless `runner` chooses another one.

    A script has been compiled by then: its own calls of `step` and `reset` stay as they are. A notebook's later cells
    are translated like a script.
    """
    main = sys.modules["__main__"]
    file = getattr(main, "__file__", None)
    if file is not None:
        script.file, script.folder = file, Path(file).resolve().parent
        with contextlib.suppress(OSError, SyntaxError, ValueError):
            syntax.note_kerases(ast.parse(Path(file).read_bytes()))
    elif hasattr(builtins, "get_ipython"):
        notebook = builtins.get_ipython()
        script.options.notes = "at once"
        notebook.ast_transformers.append(syntax.CellTransformer())
        environment_calls.provide(notebook.user_ns)
