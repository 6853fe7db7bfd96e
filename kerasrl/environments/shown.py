"""The parts of an observation, each of which goes to an input of the network."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from kerasrl.environments.kinds import kind_of
from kerasrl.errors import UserError


@dataclass(frozen=True)
class Part:
    """A part of the observations of a space that has no parts itself."""

    space: Any
    """Its own space."""
    path: tuple[Any, ...] = ()
    """The keys of Dicts and places in Tuples that lead to it; empty if it is the whole observation."""

    @property
    def name(self) -> str:
        """What its input is called."""
        return ".".join(map(str, self.path))

    @property
    def kind(self) -> str:
        """The kind of its space."""
        return kind_of(self.space)

    @property
    def sizes(self) -> tuple[int, ...]:
        """How many values each of its numbers may have, if the network is given a vector with a one for each."""
        known = {"Discrete": "n", "MultiDiscrete": "nvec"}
        return tuple(map(int, np.ravel(getattr(self.space, known[self.kind])))) if self.kind in known else ()

    @property
    def starts(self) -> tuple[int, ...]:
        """The lowest value of each of these."""
        start = np.zeros(len(self.sizes), int) + np.ravel(getattr(self.space, "start", 0)) if self.sizes else ()
        return tuple(map(int, start))

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of what the network is given."""
        return (sum(self.sizes),) if self.sizes else tuple(self.space.shape)


def parts_of(space: Any, supported: str) -> list[Part]:
    """Return the parts of a space's observations, in its order.

    Raises:
        UserError: One of them is not numbers, which the message says with what is `supported`, or their names cannot be
            those of inputs.
    """
    parts = list(_parts(space, ()))
    for part in parts:
        if part.kind not in ("Box", "Discrete", "MultiDiscrete", "MultiBinary") or part.space.dtype == object:
            which = f" of the observation's part {part.name}" if part.path else ""
            raise UserError(f"the observation space {part.space}{which} is not supported; {supported}")
    _require_names([part.name for part in parts if part.path], space)
    return parts


def _parts(space: Any, path: tuple[Any, ...]) -> Iterator[Part]:
    kind = kind_of(space)
    children = space.spaces.items() if kind == "Dict" else enumerate(space.spaces) if kind == "Tuple" else ()
    children = list(children)
    if not children:  # an empty Dict is refused as it is
        yield Part(space, path)
    for key, child in children:
        yield from _parts(child, (*path, key))


def _require_names(names: list[str], space: Any) -> None:
    if slashed := [name for name in names if "/" in name]:
        raise UserError(f"the observation's key {slashed[0]!r} has a slash, which no input may have; rename it")
    if len(set(names)) < len(names):
        keys = list(space.spaces) if kind_of(space) == "Dict" else names
        raise UserError(f"the observation's keys {keys} would give inputs of the same name; rename one")
