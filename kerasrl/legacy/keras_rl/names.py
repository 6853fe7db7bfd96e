"""Keras-RL's names, with this project's engine under them."""

import importlib
import sys
from collections.abc import Callable
from types import FunctionType, ModuleType
from typing import Any

from kerasrl.legacy.report import report

_HOME_OF_AGENTS = "kerasrl.legacy.keras_rl.agents"
# Keras-RL's agents, two of them also by their older names, with the modules that have them.
AGENTS: dict[str, tuple[str, str]] = {
    "DQNAgent": ("rl.agents.dqn", "rl.agents"), "DDPGAgent": ("rl.agents.ddpg", "rl.agents"),
    "NAFAgent": ("rl.agents.dqn", "rl.agents"), "ContinuousDQNAgent": ("rl.agents.dqn", "rl.agents"),
    "SARSAAgent": ("rl.agents.sarsa", "rl.agents"), "SarsaAgent": ("rl.agents.sarsa", "rl.agents"),
    "CEMAgent": ("rl.agents.cem", "rl.agents"),
}  # fmt: skip
# This project's classes under Keras-RL's names: name -> module here, and modules of Keras-RL.
OURS: dict[str, str] = {
    "ModelIntervalCheckpoint": "kerasrl.callbacks", "TrainEpisodeLogger": "kerasrl.callbacks",
    "FileLogger": "kerasrl.legacy.keras_rl.callbacks", "SequentialMemory": "kerasrl",
    "EpisodeParameterMemory": "kerasrl", "NAFLayer": "kerasrl", "OrnsteinUhlenbeckProcess": _HOME_OF_AGENTS,
    **dict.fromkeys(AGENTS, _HOME_OF_AGENTS),
}  # fmt: skip
HOMES: dict[str, tuple[str, ...]] = {
    "FileLogger": ("rl.callbacks",), "ModelIntervalCheckpoint": ("rl.callbacks",),
    "TrainEpisodeLogger": ("rl.callbacks",), "SequentialMemory": ("rl.memory",),
    "EpisodeParameterMemory": ("rl.memory",), "NAFLayer": ("rl.agents.dqn",),
    "OrnsteinUhlenbeckProcess": ("rl.random",), **AGENTS,
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
    if any(getattr(spec, "_initializing", False) for spec in specs) or _HOME_OF_AGENTS in sys.modules:
        return
    ours = {name: getattr(importlib.import_module(home), name) for name, home in OURS.items()}
    _let_sarsa_know_itself()
    for name, value in ours.items():
        for module in HOMES[name]:
            setattr(importlib.import_module(module), name, value)
    policies, agents = importlib.import_module("rl.policy"), importlib.import_module(_HOME_OF_AGENTS)
    for (module, old), new in RENAMED.items():
        setattr(importlib.import_module(module), old, getattr(agents, old, getattr(policies, new)))
    _let_memory_have_a_limit()


def _let_sarsa_know_itself() -> None:
    """Let Keras-RL's SARSAAgent find itself by its other name, by which it calls super(), when that is ours."""
    import rl.agents.sarsa

    theirs = rl.agents.sarsa.SARSAAgent
    for name in ("__init__", "get_config") if theirs.__module__ == rl.agents.sarsa.__name__ else ():
        method = vars(theirs)[name]
        own = FunctionType(method.__code__, {**method.__globals__}, name, method.__defaults__, method.__closure__)
        setattr(theirs, name, own)


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
