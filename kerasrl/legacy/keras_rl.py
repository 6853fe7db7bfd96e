"""Keras-RL's names, with this project's engine under them."""

import importlib
from collections.abc import Callable
from types import ModuleType
from typing import Any

from kerasrl.errors import UserError
from kerasrl.legacy.notes import notes

# Classes that are this project's under Keras-RL's names: module of Keras-RL -> names.
OURS: dict[str, tuple[str, ...]] = {
    "kerasrl.callbacks": ("ModelIntervalCheckpoint",),
    "kerasrl.legacy.callbacks": ("FileLogger",),
    "kerasrl.legacy.agent": ("DQNAgent",),
    "kerasrl": ("SequentialMemory",),
}
HOMES: dict[str, tuple[str, ...]] = {
    "FileLogger": ("rl.callbacks",),
    "ModelIntervalCheckpoint": ("rl.callbacks",),
    "DQNAgent": ("rl.agents.dqn", "rl.agents"),
    "SequentialMemory": ("rl.memory",),
}
# Agents that cannot learn on Keras 3, and that this project does not revive: name -> where it is.
REFUSED: dict[str, str] = {
    "SARSAAgent": "rl.agents.sarsa",
    "CEMAgent": "rl.agents.cem",
    "DDPGAgent": "rl.agents.ddpg",
    "NAFAgent": "rl.agents.dqn",
    "ContinuousDQNAgent": "rl.agents.dqn",  # NAFAgent's older name
}
# Names of keras-rl 0.1 and 0.2 -> today's: module, old name -> new name.
RENAMED: dict[tuple[str, str], str] = {
    ("rl.policy", "AnnealedQPolicy"): "LinearAnnealedPolicy",
    ("rl.agents.dqn", "AnnealedQPolicy"): "LinearAnnealedPolicy",
    ("rl.agents.dqn", "EpsGreedyQPolicy"): "EpsGreedyQPolicy",
    ("rl.agents.dqn", "BoltzmannQPolicy"): "BoltzmannQPolicy",
}
# What Keras-RL is installed as; it is imported as `rl`.
PACKAGES = ("keras_rl", "keras_rl2")
# rl.keras_future was a bridge from Keras 1 to Keras 2.
KERAS_FUTURE: dict[str, str] = {"concatenate": "keras.layers", "Model": "keras.models"}


def _repaired(rl: ModuleType) -> None:
    """Repair Keras-RL, import the engine, and put it under Keras-RL's names."""
    for home, names in OURS.items():
        ours = importlib.import_module(home)
        for name in names:
            for module in HOMES[name]:
                setattr(importlib.import_module(module), name, getattr(ours, name))
    policies, old_policies = importlib.import_module("rl.policy"), importlib.import_module("kerasrl.legacy.policy")
    for (module, old), new in RENAMED.items():
        setattr(importlib.import_module(module), old, getattr(old_policies, old, getattr(policies, new)))
    for name, home in REFUSED.items():
        module_ = importlib.import_module(home)
        if not hasattr(module_, name):
            setattr(module_, name, type(name, (), {}))
        getattr(module_, name).__init__ = _refuse
        setattr(importlib.import_module("rl.agents"), name, getattr(module_, name))
    _let_memory_have_a_limit()


def _refuse(agent: Any, *args: Any, **kwargs: Any) -> None:
    name = type(agent).__name__
    raise UserError(f"{name} is not revived here: it cannot learn on Keras 3. DQNAgent is the agent that works")


def _let_memory_have_a_limit() -> None:
    """Let `Memory(limit=...)`, as in keras-rl 0.1, make a SequentialMemory."""
    import rl.memory

    from kerasrl import SequentialMemory

    def new(cls: type, *args: Any, **kwargs: Any) -> Any:
        if cls is not rl.memory.Memory or "limit" not in kwargs:
            return object.__new__(cls)
        notes.translated("Memory(limit=...) -> SequentialMemory(limit=...)")
        return object.__new__(SequentialMemory)  # which Python then initialises, since it is a Memory

    rl.memory.Memory.__new__ = new


def lost_module(name: str) -> ModuleType | None:
    """Return a module that Keras-RL dropped, or one that is named like a package; None if it is neither."""
    module = ModuleType(name)
    root, dot, rest = name.partition(".")
    if root in PACKAGES:
        notes.translated(f"{name} -> rl{dot}{rest}")
        own = vars(importlib.import_module(f"rl{dot}{rest}"))
        vars(module).update({key: value for key, value in own.items() if not key.startswith("__")})
    elif name == "rl.keras_future":
        for attribute, home in KERAS_FUTURE.items():
            setattr(module, attribute, getattr(importlib.import_module(home), attribute))
    else:
        return None
    return module


BEFORE: dict[str, Callable[[], None]] = {}
LOADED: dict[str, Callable[[ModuleType], None]] = {"rl": _repaired}
