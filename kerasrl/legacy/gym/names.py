"""gym's names until 0.25, and packages of environments in a folder beside the script, to be installed with pip."""

import contextlib
import importlib
import sys
import warnings
from collections.abc import Callable
from importlib.machinery import PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

from kerasrl.legacy.old_names import refused
from kerasrl.legacy.report import report
from kerasrl.legacy.script import script

# Modules that gym dropped -> the one beside this one that has their names.
MODULES: dict[str, str] = {
    "gym.envs.classic_control.rendering": "viewers", "gym.envs.toy_text.discrete": "dropped",
    "gym.monitoring": "monitor", "gym.spaces.prng": "dropped", "gym.wrappers.frame_skipping": "dropped",
    "gym.wrappers.monitor": "monitor", "gym.scoreboard": "dropped", "gym.configuration": "dropped",
    "gymnasium.wrappers.step_api_compatibility": "step_api",
}  # fmt: skip
# Names that gym's modules dropped, or that do not work: module -> module beside this one -> names.
NAMES: dict[str, dict[str, tuple[str, ...]]] = {
    "gym": {"dropped": ("upload", "undo_logger_setup")},
    "gym.wrappers": {"monitor": ("Monitor", "RecordVideo"), "dropped": ("SkipWrapper",)},  # gym's film needs moviepy
    "gym.wrappers.monitoring": {"monitor": ("Monitor",)},
    "gym.wrappers.record_video": {"monitor": ("RecordVideo",)},
}
# Modules of environments that gym dropped: the names in them are refused when they are used.
REMOVED: tuple[str, ...] = (
    "gym.benchmarks", "gym.envs.algorithmic", "gym.envs.atari", "gym.envs.board_game", "gym.envs.debugging",
    "gym.envs.doom", "gym.envs.minecraft", "gym.envs.parameter_tuning", "gym.envs.robotics", "gym.envs.safety",
    "gym.envs.unittest",
)  # fmt: skip


def quiet() -> None:
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
    gym.logger.min_level = gym.logger.ERROR  # it would warn of what was usual in the script's time
    for name in ("classes", "making", "monitor"):
        _beside(name).give_back()
    gym.scoreboard = gym.configuration = _beside("dropped")
    for module, homes in NAMES.items():
        for home, names in homes.items():
            for name in names:
                setattr(importlib.import_module(module), name, getattr(_beside(home), name))


def _beside(name: str) -> Any:
    return importlib.import_module(f"kerasrl.legacy.gym.{name}")


def _gymnasium(gymnasium: ModuleType) -> None:
    importlib.import_module("kerasrl.compat.gym")  # first: it makes the next one importable
    _beside("making").with_stand_ins(gymnasium)
    if "StepAPICompatibility" not in vars(gymnasium.wrappers):
        gymnasium.wrappers.StepAPICompatibility = _beside("step_api").StepAPICompatibility


LOADED: dict[str, Callable[[ModuleType], None]] = {
    "gym": _repair, "kerasrl.compat.gym": _give_back, "gymnasium": _gymnasium,
}  # fmt: skip


def lost_module(name: str) -> ModuleType | None:
    """Return a module that gym dropped, or one in a project folder beside the script; None for any other."""
    module = ModuleType(name)
    if name in MODULES:
        names = vars(_beside(MODULES[name]))
        vars(module).update({key: value for key, value in names.items() if not key.startswith("__")})
        return module
    if any(f"{name}.".startswith(f"{gone}.") for gone in REMOVED):

        def refuse(attribute: str) -> Any:
            if attribute.startswith("__"):
                raise AttributeError(attribute)
            return refused(f"{name}.{attribute}", "is missing: gym dropped it, and nothing replaces it")

        module.__getattr__ = refuse  # type: ignore[method-assign]
        return module
    return import_from_project(name) if "." not in name and _project_with(name) is not None else None


def _project_with(package: str) -> Path | None:
    """Return a folder beside the script that holds a package of that name, to be installed with pip."""
    folder = script.folder
    for project in sorted(folder.iterdir()) if folder is not None and folder.is_dir() else []:
        is_project = (project / "setup.py").exists() or (project / "pyproject.toml").exists()
        if is_project and (project / package / "__init__.py").exists():
            return project
    return None


def import_from_project(name: str) -> ModuleType:
    """Import a module, if need be from a project folder beside the script that is not installed."""
    package = name.partition(".")[0]
    project = _project_with(package)
    if project is not None and str(project) not in sys.path:
        found = PathFinder.find_spec(package)
        if found is None or found.origin is None:  # nothing, or just the project's folder, which Python takes for one
            report.translated(f"import {package} -> from the folder {project.name}, since it is not installed")
            sys.path.insert(1, str(project))
            sys.modules.pop(package, None)
            importlib.invalidate_caches()
    return importlib.import_module(name)
