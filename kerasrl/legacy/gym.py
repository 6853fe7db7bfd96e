"""TODO."""

from collections.abc import Callable
from types import ModuleType

BEFORE: dict[str, Callable[[], None]] = {}
LOADED: dict[str, Callable[[ModuleType], None]] = {}


def lost_module(name: str) -> ModuleType | None:
    """Return a module that this library dropped, None if it is not one of them."""
    return None
