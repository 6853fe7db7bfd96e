"""What objects hold - processors, policies, generators - and how it is put back into objects that exist."""

import random
from collections import deque
from collections.abc import Collection
from enum import Enum
from typing import Any

import numpy as np

from kerasrl.errors import UserError
from kerasrl.storage.encoding import CannotBeKept, Encoder, Held

_BIT_GENERATORS: dict[str, Any] = {
    kind.__name__: kind
    for kind in (np.random.MT19937, np.random.PCG64, np.random.PCG64DXSM, np.random.Philox, np.random.SFC64)
}
_CURE = "cannot be saved for a resume; give the class get_state and set_state"


class ObjectEncoder(Encoder):
    """An `Encoder` that knows which objects can be put back.

    Generators and normalizers can be made anew; for `roots` the caller has counterparts in a resume. Any other object
    must have been in its place when the training began, since a resume can only fill the objects of that time.

    Args:
        roots: Objects that are kept whatever their class.
        known: Places of objects at the beginning, from `places` at that time; None if this is the beginning.
    """

    def __init__(self, roots: tuple[Any, ...] = (), known: set[str] | None = None) -> None:
        super().__init__()
        self.places: set[str] = set()
        self._roots, self._known = {id(root) for root in roots}, known

    def object(self, value: Any) -> tuple[str, str, Any]:
        """Return an object's kind, the name of its class, and a node for its content.

        Raises CannotBeKept if it cannot be put back, UserError if something that it holds cannot.
        """
        if isinstance(value, Held):  # in a tree that was decoded and is written again
            return value.kind, value.name, self.node(value.content)
        name = type(value).__qualname__
        content = _content_to_make_anew(value)
        if content is not None:
            return type(value).__name__, name, self.node(content)
        if id(value) not in self._roots:
            place = f"{''.join(self.path)} {name}"
            if "()" in self.path or (self._known is not None and place not in self._known):
                raise CannotBeKept
            self.places.add(place)
        if isinstance(value, Enum) and value.name in type(value).__members__:
            return "enum", name, value.name
        if isinstance(value, tuple) and hasattr(value, "_fields"):
            return "namedtuple", name, self.node(tuple(value))
        if hasattr(value, "get_state") and hasattr(value, "set_state"):
            try:
                with self.at("()"):  # what it returns has no counterpart in a resume
                    return "state", name, self.node(value.get_state())
            except CannotBeKept:
                raise UserError(f"what {name}.get_state returns cannot be saved for a resume") from None
        if id(value) in self._roots or _is_policy_or_processor(value):
            return "attributes", name, ["dict", *self._attributes(value)]
        raise CannotBeKept

    def _attributes(self, thing: Any) -> list[Any]:
        nodes: list[Any] = []
        self._numbers[id(nodes)] = len(self._numbers)  # stands for the dictionary that decoding makes of them
        self._alive.append(nodes)
        for name, value in attributes(thing).items():
            try:
                with self.at(f".{name}"):
                    nodes += [name, self.node(value)]
            except CannotBeKept:
                raise UserError(f"{type(thing).__name__}.{name} {_CURE}") from None
        return nodes


def attributes(thing: Any) -> dict[str, Any]:
    """Return an object's attributes, including those in slots, except the agent."""
    found = dict(getattr(thing, "__dict__", {}))
    for kind in type(thing).__mro__:
        slots = vars(kind).get("__slots__", ())
        for slot in (slots,) if isinstance(slots, str) else slots:
            is_private = slot.startswith("__") and not slot.endswith("__")
            name = f"_{kind.__name__.lstrip('_')}{slot}" if is_private else slot
            if name not in ("__dict__", "__weakref__") and hasattr(thing, name):
                found[name] = getattr(thing, name)
    found.pop("agent", None)
    return found


def _is_policy_or_processor(value: Any) -> bool:
    from rl.core import Processor  # here, so that train.py finds a wrong --resume before it imports TensorFlow
    from rl.policy import Policy

    return isinstance(value, Policy | Processor)


def _content_to_make_anew(value: Any) -> Any:
    """Return the content of an object that can be made without a counterpart, None for others."""
    if type(value) is np.random.Generator and type(value.bit_generator).__name__ in _BIT_GENERATORS:
        return value.bit_generator.state
    if type(value) is np.random.RandomState:
        return value.get_state(legacy=False)
    if type(value) is random.Random:
        return value.getstate()
    if type(value).__name__ == "WhiteningNormalizer" and type(value).__module__ == "rl.util":
        return {**vars(value), "dtype": np.dtype(value.dtype).str}
    return None


AS_IT_IS = Held("", "", None)  # in the place of a state that is not to be restored
_COUNTERS = ("n_steps", "x_prev")  # how far Keras-RL's random processes have come


def count_on(thing: Any, held: Held | None) -> None:
    """Let an object that was made with other arguments count on from where the one that was held had come to."""
    content: dict[str, Any] = held.content if isinstance(held, Held) and held.kind == "attributes" else {}
    for name in _COUNTERS:
        if name in content and np.shape(content[name]) == np.shape(getattr(thing, name, "")):
            setattr(thing, name, content[name])


def restore(thing: Any, held: Held | None) -> None:
    """Give an object the content that was held; raise `UserError` if it is of another class."""
    if held is AS_IT_IS or (held is None and thing is None):
        return
    there, here = "none" if held is None else held.name, "none" if thing is None else type(thing).__qualname__
    if held is None or there != here:
        raise UserError(f"cannot resume with a different object: the state has {there!s:.60}, this training has {here}")
    held.thing = thing
    if held.kind == "state":
        thing.set_state(real(held.content))
        return
    present = attributes(thing)
    for name in present.keys() - held.content.keys():
        delattr(thing, name)
    for name, value in held.content.items():
        setattr(thing, name, real(value, present.get(name)))


def real(value: Any, present: Any = None, seen: set[int] | None = None) -> Any:
    """Return a decoded value with objects in place of each `Held`.

    Args:
        value: The value; its lists and dictionaries are changed.
        present: A value of the same structure, whose objects are given the content.
        seen: The ids of what has been visited, since a value may hold itself.
    """
    seen = set() if seen is None else seen
    if isinstance(value, Held):
        if value.thing is None:
            value.thing = _made(value, present)
        return value.thing
    if isinstance(value, tuple):
        items = tuple(real(item, _at(present, i), seen) for i, item in enumerate(value))
        return items if any(a is not b for a, b in zip(items, value, strict=True)) else value
    if hasattr(value, "__setitem__") and not isinstance(value, np.ndarray) and id(value) not in seen:
        seen.add(id(value))
        for key, item in list(value.items() if isinstance(value, dict) else enumerate(value)):
            made = real(item, _at(present, key), seen)
            if made is not item:
                value[key] = made
    return value


def _require_whitening(content: dict[str, Any], names: Collection[str]) -> None:
    """Raise `UserError` unless the content of Keras-RL's normalizer has these names and arrays of one shape."""
    arrays = [content.get(name) for name in ("_sum", "_sumsq", "mean", "std")]
    is_sound = content.keys() >= set(names) and all(
        isinstance(array, np.ndarray) and array.shape == content["shape"] and array.dtype.kind in "fiub"
        for array in arrays
    )
    numbers = [content.get("eps"), content.get("_count")]
    if not is_sound or not all(isinstance(value, int | float) for value in numbers):
        raise UserError("the statistics of a WhiteningNormalizer are damaged")


def _at(present: Any, key: Any) -> Any:
    if isinstance(present, dict):
        return present.get(key)
    return present[key] if isinstance(present, list | tuple | deque) and key < len(present) else None


def _made(held: Held, present: Any) -> Any:
    """Return an object with the content that was held: the one that is present, or else a new one."""
    content = real(held.content) if held.kind not in ("state", "attributes") else held.content
    is_same = type(present).__qualname__ == held.name
    if held.kind == "Generator":
        bits = content["bit_generator"]
        if not is_same or type(present.bit_generator).__name__ != bits:
            present = np.random.Generator(_BIT_GENERATORS[bits]())
        present.bit_generator.state = content
    elif held.kind == "RandomState":
        present = present if is_same else np.random.RandomState()
        present.set_state(content)
    elif held.kind == "Random":
        present = present if is_same else random.Random()
        present.setstate(content)
    elif held.kind == "WhiteningNormalizer":
        from rl.util import WhiteningNormalizer

        _require_whitening(
            content, vars(fresh := WhiteningNormalizer((1,))).keys()
        )  # never of a size that a file names
        present = present if is_same else fresh
        vars(present).update({**content, "dtype": np.dtype(content["dtype"])})
    elif held.kind == "enum" and is_same and isinstance(present, Enum):
        present = type(present)[content]
    elif held.kind == "namedtuple" and is_same and hasattr(present, "_fields"):
        present = tuple.__new__(type(present), content)
    else:
        restore(present, held)
    return present
