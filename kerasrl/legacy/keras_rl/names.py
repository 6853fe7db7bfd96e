"""Keras-RL's names, with this project's engine under them."""

import importlib
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

from kerasrl.errors import UserError
from kerasrl.legacy.report import report

# This project's classes under Keras-RL's names: name -> module here, and modules of Keras-RL.
OURS: dict[str, str] = {
    "ModelIntervalCheckpoint": "kerasrl.callbacks", "TrainEpisodeLogger": "kerasrl.callbacks",
    "FileLogger": "kerasrl.legacy.keras_rl.callbacks",
    "DQNAgent": "kerasrl.legacy.keras_rl.agent", "SequentialMemory": "kerasrl",
}  # fmt: skip
HOMES: dict[str, tuple[str, ...]] = {
    "FileLogger": ("rl.callbacks",), "ModelIntervalCheckpoint": ("rl.callbacks",),
    "TrainEpisodeLogger": ("rl.callbacks",),
    "DQNAgent": ("rl.agents.dqn", "rl.agents"), "SequentialMemory": ("rl.memory",),
}  # fmt: skip
# Agents that cannot learn on Keras 3: name -> its module.
REFUSED: dict[str, str] = {
    "SARSAAgent": "rl.agents.sarsa", "CEMAgent": "rl.agents.cem", "DDPGAgent": "rl.agents.ddpg",
    "NAFAgent": "rl.agents.dqn", "ContinuousDQNAgent": "rl.agents.dqn",  # the same by its older name
}  # fmt: skip
# Names of keras-rl 0.1 and 0.2 -> today's: module, old name -> new name.
RENAMED: dict[tuple[str, str], str] = {
    ("rl.policy", "AnnealedQPolicy"): "LinearAnnealedPolicy",
    ("rl.agents.dqn", "AnnealedQPolicy"): "LinearAnnealedPolicy",
    ("rl.agents.dqn", "EpsGreedyQPolicy"): "EpsGreedyQPolicy",
    ("rl.agents.dqn", "BoltzmannQPolicy"): "BoltzmannQPolicy",
}
# What Keras-RL is installed as; its module is `rl`.
PACKAGES = ("keras_rl", "keras_rl2")
# rl.keras_future was a bridge from Keras 1 to Keras 2.
KERAS_FUTURE: dict[str, str] = {"concatenate": "keras.layers", "Model": "keras.models"}


# A script may itself import the engine, before or after Keras-RL.
_ENGINE = ("kerasrl.agents", "kerasrl.callbacks", "kerasrl.learning", "kerasrl.replay")


def _repaired(imported: ModuleType) -> None:
    """Repair Keras-RL, import the engine, and put it under Keras-RL's names, unless the engine is being imported.

    `imported` is Keras-RL or a part of the engine, either of which may import the other.
    """
    specs = [sys.modules[name].__spec__ for name in _ENGINE if name in sys.modules and name != imported.__name__]
    if any(getattr(spec, "_initializing", False) for spec in specs) or "kerasrl.legacy.keras_rl.agent" in sys.modules:
        return
    for name, home in OURS.items():
        ours = getattr(importlib.import_module(home), name)
        for module in HOMES[name]:
            setattr(importlib.import_module(module), name, ours)
    policies, agent = importlib.import_module("rl.policy"), importlib.import_module("kerasrl.legacy.keras_rl.agent")
    for (module, old), new in RENAMED.items():
        setattr(importlib.import_module(module), old, getattr(agent, old, getattr(policies, new)))
    for name, home in REFUSED.items():
        refused: Any = getattr(importlib.import_module(home), name, None) or type(name, (), {})
        refused.__init__ = _refuse
        for place in (home, "rl.agents"):
            setattr(importlib.import_module(place), name, refused)
    _let_memory_have_a_limit()


def _refuse(agent: Any, *args: Any, **kwargs: Any) -> None:
    name = type(agent).__name__
    raise UserError(f"{name} is not supported: it cannot learn on Keras 3; use DQNAgent")


def _let_memory_have_a_limit() -> None:
    """Let `Memory(limit=...)`, as in keras-rl 0.1, make a SequentialMemory."""
    import rl.memory

    from kerasrl import SequentialMemory

    def new(cls: type, *args: Any, **kwargs: Any) -> Any:
        if cls is not rl.memory.Memory or "limit" not in kwargs:
            return object.__new__(cls)
        report.translated("Memory(limit=...) -> SequentialMemory(limit=...)")
        return object.__new__(SequentialMemory)  # which Python then initialises, since it is a Memory

    rl.memory.Memory.__new__ = new


def lost_module(name: str) -> ModuleType | None:
    """Return a module that Keras-RL dropped, or one named like an installed package; None for any other."""
    module = ModuleType(name)
    root, dot, rest = name.partition(".")
    if root in PACKAGES:
        report.translated(f"{name} -> rl{dot}{rest}")
        own = vars(importlib.import_module(f"rl{dot}{rest}"))
        vars(module).update({key: value for key, value in own.items() if not key.startswith("__")})
    elif name == "rl.keras_future":
        for attribute, home in KERAS_FUTURE.items():
            setattr(module, attribute, getattr(importlib.import_module(home), attribute))
    else:
        return None
    return module


LOADED: dict[str, Callable[[ModuleType], None]] = dict.fromkeys(("rl", *_ENGINE), _repaired)
