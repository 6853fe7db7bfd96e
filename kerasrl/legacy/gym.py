"""gym's names and calls until 0.25, and what of Gymnasium old scripts expect otherwise."""

import contextlib
import importlib
import sys
import warnings
from collections.abc import Callable
from importlib.machinery import PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

from kerasrl.errors import UserError
from kerasrl.legacy.notes import notes

# Modules that gym dropped -> the one that has their names here.
MODULES: dict[str, str] = {
    "gym.envs.classic_control.rendering": "kerasrl.legacy.viewers",
    "gym.envs.toy_text.discrete": "kerasrl.legacy.gym_dropped",
    "gym.monitoring": "kerasrl.legacy.monitor",
    "gym.spaces.prng": "kerasrl.legacy.gym_dropped",
    "gym.wrappers.frame_skipping": "kerasrl.legacy.gym_dropped",
    "gym.wrappers.monitor": "kerasrl.legacy.monitor",
    "gym.scoreboard": "kerasrl.legacy.gym_dropped",
    "gym.configuration": "kerasrl.legacy.gym_dropped",
}
# Names that gym's modules dropped, or that do not work: module -> name -> where they are here.
NAMES: dict[str, dict[str, str]] = {
    "gym": {
        "upload": "kerasrl.legacy.gym_dropped",
        "undo_logger_setup": "kerasrl.legacy.gym_dropped",
        "scoreboard": "kerasrl.legacy.gym_dropped:",
        "configuration": "kerasrl.legacy.gym_dropped:",
    },
    "gym.wrappers": {
        "Monitor": "kerasrl.legacy.monitor",
        "RecordVideo": "kerasrl.legacy.monitor",  # gym's needs moviepy
        "SkipWrapper": "kerasrl.legacy.gym_dropped",
    },
    "gym.wrappers.monitoring": {"Monitor": "kerasrl.legacy.monitor"},
    "gym.wrappers.record_video": {"RecordVideo": "kerasrl.legacy.monitor"},
}
# Environments that gym dropped with their modules: the names in them are refused when they are called.
REMOVED: tuple[str, ...] = (
    "gym.benchmarks", "gym.envs.algorithmic", "gym.envs.atari", "gym.envs.board_game", "gym.envs.debugging",
    "gym.envs.doom", "gym.envs.minecraft", "gym.envs.parameter_tuning", "gym.envs.robotics", "gym.envs.safety",
    "gym.envs.unittest",
)  # fmt: skip


def _quiet() -> None:
    """Keep gym from printing its notice, as kerasrl/compat/gym.py does."""
    with contextlib.suppress(ImportError):
        importlib.import_module("gym_notices.notices").notices.clear()


def _repair(gym: ModuleType) -> None:
    filters: Any = warnings.filters
    filters[:] = [kept for kept in filters if getattr(kept[3], "pattern", "") != r"^gym\."]
    importlib.import_module("kerasrl.compat.gym")  # if this is not what imports gym


def _give_back(repaired: ModuleType) -> None:
    """Give gym back what it had, once it has been imported and repaired."""
    gym = repaired.gym
    gym.logger.min_level = gym.logger.ERROR  # what it would warn of are the habits of the script's time
    for name in ("gym_classes", "gym_making", "monitor"):
        importlib.import_module(f"kerasrl.legacy.{name}").give_back()
    for module, names in NAMES.items():
        for name, home in names.items():
            found = importlib.import_module(home.rstrip(":"))
            setattr(importlib.import_module(module), name, found if home.endswith(":") else getattr(found, name))


def _gymnasium(gymnasium: ModuleType) -> None:
    importlib.import_module("kerasrl.compat.gym")  # first: it makes the next one importable
    importlib.import_module("kerasrl.legacy.gym_making").with_stand_ins(gymnasium)


BEFORE: dict[str, Callable[[], None]] = {"gym": _quiet}
LOADED: dict[str, Callable[[ModuleType], None]] = {
    "gym": _repair,
    "kerasrl.compat.gym": _give_back,
    "gymnasium": _gymnasium,
}


def lost_module(name: str) -> ModuleType | None:
    """Return a module that gym dropped, or one in a project folder beside the script; None for all others."""
    if name in MODULES:
        home = importlib.import_module(MODULES[name])
        module = ModuleType(name)
        vars(module).update({key: value for key, value in vars(home).items() if not key.startswith("__")})
        return module
    removed = next((gone for gone in REMOVED if f"{name}.".startswith(f"{gone}.")), None)
    if removed is not None:
        module = ModuleType(name)
        module.__getattr__ = lambda attribute: _refusing(f"{name}.{attribute}", attribute)  # type: ignore[method-assign]
        return module
    if "." not in name and _project_with(name) is not None:
        return import_from_project(name)
    return None


def _refusing(name: str, attribute: str) -> type:
    """Return a class that is refused when it is made."""
    if attribute.startswith("__"):
        raise AttributeError(attribute)

    def refuse(self: Any, *args: Any, **kwargs: Any) -> None:
        raise UserError(f"{name} is missing: gym dropped it, and there is none like it today")

    return type(attribute, (), {"__init__": refuse})


def _project_with(package: str) -> Path | None:
    """Return a folder beside the script that has a package of that name, and would be installed with pip."""
    if notes.root is None:
        return None
    for project in sorted(notes.root.iterdir()) if notes.root.is_dir() else []:
        is_project = (project / "setup.py").exists() or (project / "pyproject.toml").exists()
        if is_project and (project / package / "__init__.py").exists():
            return project
    return None


def import_from_project(name: str) -> ModuleType:
    """Import a module, also from a project folder beside the script that is not installed; raises what that raises."""
    package = name.partition(".")[0]
    project = _project_with(package)
    if project is not None and str(project) not in sys.path:
        found = PathFinder.find_spec(package)
        if found is None or found.origin is None:  # nothing, or just the project's folder, which Python takes for one
            notes.translated(f"import {package} -> from the folder {project.name}, since it is not installed")
            sys.path.insert(1, str(project))
            sys.modules.pop(package, None)
            importlib.invalidate_caches()
    return importlib.import_module(name)


def has_time_limit(env: Any) -> bool:
    """Return whether a wrapper limits the time of an episode."""
    from kerasrl.environments.layers import layers

    return any(type(layer).__name__ == "TimeLimit" for layer in layers(env))
