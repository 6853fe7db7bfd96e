"""The recipe, the project's or somebody else's: train.py, test.py and what they import, found by path.

Its files are loaded by path and under longer names, so they are never confused with a user's model.py, callbacks.py or
test.py. Only while they are being loaded do they find each other by their plain names; therefore they import each other
at module level only.
"""

import contextlib
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

from kerasrl.errors import UserError, one_line
from kerasrl.installation import FOLDER, RECIPE


@dataclass(frozen=True)
class Recipe:
    """What builds, trains and plays an agent."""

    build: Callable[[Any], Any]
    """Returns the agent for a `Run`."""
    file: str = ""
    """Its train.py; "" for the project's."""
    train: Callable[[Any], Any] | None = None
    """Trains it, given a `TrainingRun`."""
    test: Callable[[Any], Any] | None = None
    """Plays with saved weights, given a `PlayRun`, and returns what `agent.test` returns."""


def load(file: str = "", test: bool = False) -> Recipe:
    """Return the recipe whose train.py is `file` ("" for the project's), with its test.py if `test` is true.

    If test.py, model.py or callbacks.py is missing beside it, the project's is used.

    Raises:
        UserError: The file does not exist, cannot be imported, or lacks a function.
    """
    path = Path(file).absolute() if file else FOLDER / "train.py"
    require_recipe(file)
    import_module("kerasrl.compat.keras_rl")  # first: the recipe may import Keras-RL, which must be repaired by then
    try:
        modules = _loaded(path, RECIPE if test else RECIPE[:-1])
    except (ImportError, SyntaxError) as error:
        if not file:
            raise
        raise UserError(f"the recipe {file} cannot be imported: {one_line(error)}") from error
    for name in ("build", "train"):
        if not callable(getattr(modules["train"], name, None)):
            raise UserError(f"the recipe {file} has no function {name}(run); see the project's train.py")
    if test and not callable(getattr(modules["test"], "test", None)):
        raise UserError(f"{modules['test'].__file__} has no function test(run); see the project's test.py")
    return Recipe(modules["train"].build, file, modules["train"].train, modules["test"].test if test else None)


def require_recipe(file: str) -> None:
    """Raise `UserError` if a recipe is named that does not exist."""
    if file and not Path(file).is_file():
        raise UserError(f"there is no recipe {file}; name a recipe's train.py")


def _loaded(file: Path, names: tuple[str, ...]) -> dict[str, ModuleType]:
    modules = {}
    with plain_names(file.parent):
        for name in names:
            beside = file if name == "train" else file.with_name(f"{name}.py")
            path = beside if beside.is_file() else FOLDER / f"{name}.py"
            spec: Any = spec_from_file_location(f"kerasrl_recipe_{name}", path)
            modules[name] = sys.modules[spec.name] = sys.modules[name] = module_from_spec(spec)
            spec.loader.exec_module(modules[name])
    return modules


@contextlib.contextmanager
def plain_names(folder: Path) -> Iterator[None]:
    """Let plain names mean a recipe's while the block runs; later a user's own recipe folder is searched last."""
    before = {name: sys.modules.pop(name) for name in RECIPE if name in sys.modules}
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        if folder != FOLDER and str(folder) not in sys.path:
            sys.path.append(str(folder))
        for name in RECIPE:
            sys.modules.pop(name, None)
        sys.modules.update(before)
