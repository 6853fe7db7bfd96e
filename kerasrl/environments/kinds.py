"""What kind of space one is, whichever library it is from."""

from typing import Any

_KINDS = ("Box", "Discrete", "MultiDiscrete", "MultiBinary", "Dict", "Tuple")


def kind_of(space: Any) -> str:
    """Return the kind of a space, gym's or Gymnasium's, of such a class or of one derived from it: its class's name."""
    names = [base.__name__ for base in type(space).__mro__]  # which are the same in both libraries
    return next((name for name in names if name in _KINDS), names[0])
