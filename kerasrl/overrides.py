"""What people's own classes and objects override: such methods are called when and as Keras-RL calls them."""

import inspect
import types
from collections.abc import Callable
from typing import Any

_ENGINE = ("kerasrl", "rl")


def overrides(thing: Any, *names: str) -> bool:
    """Return whether any of these attributes is neither this project's nor Keras-RL's own.

    An object may have one of its own (`agent.backward = mine`), a class may define it or have been given it.
    """
    return any(name in getattr(thing, "__dict__", ()) or _is_own(type(thing), name) for name in names)


def _is_own(kind: type, name: str) -> bool:
    found = inspect.getattr_static(kind, name, None)
    return found is not None and not is_engines(found)


def is_engines(found: Any) -> bool:
    """Return whether a function or property was written in this project or in Keras-RL."""
    function = found.fget if isinstance(found, property) else found
    # Not its __module__, which a decorator may have copied from what it wraps.
    home = function.__globals__.get("__name__", "") if isinstance(function, types.FunctionType) else ""
    return home.partition(".")[0] in _ENGINE


def takes(function: Callable[..., Any], name: str) -> bool:
    """Return whether a function has a parameter of this name itself, whatever it wraps."""
    return name in inspect.signature(function, follow_wrapped=False).parameters


def own_attributes(thing: Any) -> list[str]:
    """Return the attributes that an object of a user's own class has beside those of this project's and Keras-RL's.

    They are those that no class of these declares or mentions; functions are none.
    """
    if type(thing).__module__.partition(".")[0] in _ENGINE:
        return []
    mentioned: set[str] = set()
    for kind in type(thing).__mro__:
        if kind.__module__.partition(".")[0] in _ENGINE:
            mentioned.update(vars(kind), inspect.get_annotations(kind))
        for found in vars(kind).values():
            for function in (found.fget, found.fset) if isinstance(found, property) else (found,):
                if function is not None and is_engines(function):
                    mentioned.update(*_names(function.__code__))
    return [
        name
        for name, value in vars(thing).items()
        if name not in mentioned and not inspect.isroutine(value) and not isinstance(value, type | types.ModuleType)
    ]


def _names(code: types.CodeType) -> list[tuple[str, ...]]:
    """Return the names that a function and those within it mention."""
    within = [
        names for constant in code.co_consts if isinstance(constant, types.CodeType) for names in _names(constant)
    ]
    return [code.co_names, *within]
