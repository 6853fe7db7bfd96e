"""Trees of values as bytes and back, exactly: types, the order of keys, and which places hold one and the same thing.

A tree is made of None, bool, int, float, str, bytes, NumPy's numbers, lists, tuples, dictionaries, sets, deques and
arrays. An object comes back as a `Held`, its content, which `kerasrl.storage.object_state` puts into one that exists.
The bytes name no class to import and no function to call; decoding makes values of the kinds above and nothing else.
"""

import json
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.lib.array_utils import byte_bounds

from kerasrl.reading import parse_json
from kerasrl.storage.files import DamagedError

_DICTIONARIES: dict[str, Any] = {"dict": dict, "OrderedDict": OrderedDict, "Counter": Counter}
_FACTORIES = {"None": None, "int": int, "float": float, "list": list, "dict": dict}  # of a defaultdict
_LONGEST_INT = 10_000  # bits; Python refuses to read numbers of more than 4,300 digits
_MOST_ALIKE = 100  # keys with the same hash, which take the square of their number; of floats 35 may have one
MOST_VALUES = 2**21  # in JSON, apart from buffers; they take two seconds and 600 MB
_LONG_LIST = 16  # numbers; a list of one type that is at least this long is kept as an array
MOST_NARROW = 2**23  # numbers of fewer than 8 bytes in such lists; each becomes 40 bytes there, in 0.1 microseconds


class Held:
    """The content of an object in a tree, with the kind of the object and the name of its class."""

    def __init__(self, kind: str, name: str, content: Any) -> None:
        self.kind, self.name, self.content = kind, name, content
        self.thing: Any = None  # the object that has been given this content


class CannotBeKept(Exception):  # an answer, not a failure
    """A value cannot be kept exactly."""


class Encoder:
    """Turns trees into nodes, which JSON can hold, and buffers of bytes; a subclass knows about objects."""

    def __init__(self) -> None:
        self.buffers: list[bytes] = []
        self.nb_narrow = 0  # numbers of fewer than 8 bytes in lists that are kept as arrays
        self.path: list[str] = []  # to the current value
        self._numbers: dict[int, int] = {}  # of the values that have been met, by id
        self._owners: dict[int, int] = {}  # buffers, by the id of the array that owns the memory
        self._alive: list[Any] = []  # so that no id is used twice

    def encode(self, tree: Any) -> bytes:
        """Return the tree as bytes; raise `CannotBeKept` if it holds something other than the values above."""
        node = self.node(tree)
        text = json.dumps({"buffers": [len(buffer) for buffer in self.buffers], "tree": node}).encode()
        return b"".join([len(text).to_bytes(8, "little"), text, *self.buffers])

    def node(self, value: Any) -> Any:
        """Return a node for a value: what JSON has stands for itself, the rest is a list that begins with its kind."""
        kind = type(value)
        if value is None or kind in (bool, float, str):
            return value
        if kind is int:
            if value.bit_length() > _LONGEST_INT:
                raise CannotBeKept
            return value
        if isinstance(value, np.generic):
            return ["scalar", _type_text(value.dtype), value.tobytes().hex()]
        if kind is bytes:
            return ["bytes", value.hex()]
        if kind is tuple:
            return ["tuple", *self._items(value)]
        if id(value) in self._numbers:
            return ["same", self._numbers[id(value)]]
        self._numbers[id(value)] = len(self._numbers)
        self._alive.append(value)
        if kind is np.ndarray:
            return self._array(value)
        if kind is list:
            return self._numbers_of_one_type(value) or ["list", *self._items(value)]
        if kind is deque:
            return ["deque", value.maxlen, *self._items(value)]
        if kind is defaultdict:
            factory = getattr(value.default_factory, "__name__", "None")
            if _FACTORIES.get(factory, value) is not value.default_factory:
                raise CannotBeKept
            return ["defaultdict", factory, *self._pairs(value)]
        if _DICTIONARIES.get(kind.__name__) is kind:
            return [kind.__name__, *self._pairs(value)]
        if kind in (set, frozenset):
            if not all(map(_is_plain, value)):
                raise CannotBeKept
            return [kind.__name__, *self._items(value)]
        return ["held", *self.object(value)]

    def object(self, value: Any) -> tuple[str, str, Any]:
        """Return the kind of any other object, the name of its class, and a node for its content."""
        raise CannotBeKept

    @contextmanager
    def at(self, place: str) -> Iterator[None]:
        """While the block runs, the path to the current value ends with `place`."""
        self.path.append(place)
        try:
            yield
        finally:
            self.path.pop()

    def _items(self, values: Any) -> Iterator[Any]:
        for i, value in enumerate(values):
            with self.at(f"[{i}]"):
                yield self.node(value)

    def _pairs(self, values: dict[Any, Any]) -> Iterator[Any]:
        for key, value in values.items():
            if not _is_plain(key):
                raise CannotBeKept
            yield self.node(key)
            with self.at(f"[{key!r}]"):
                yield self.node(value)

    def _numbers_of_one_type(self, values: list[Any]) -> Any:
        """Return a node for a long list of numbers, None for other lists; a million of them take no time."""
        if len(values) < _LONG_LIST or len(kinds := set(map(type, values))) > 1:
            return None
        (kind,) = kinds
        if kind in (int, float):
            try:
                return ["numbers", kind.__name__, self._buffer(np.array(values, {int: "<i8", float: "<f8"}[kind]))]
            except OverflowError:
                return None
        if issubclass(kind, np.number | np.bool_) and not issubclass(kind, np.timedelta64):
            self.nb_narrow += len(values) * (values[0].dtype.itemsize < 8)
            return ["numbers", _type_text(values[0].dtype), self._buffer(np.array(values))]
        return None

    def _array(self, array: np.ndarray) -> Any:
        """Return a node for an array, as a view of memory that it may share with others."""
        owner = array
        while isinstance(owner.base, np.ndarray):
            owner = owner.base
        low, high = byte_bounds(owner)
        if high - low != owner.nbytes or min(owner.strides, default=0) < 0:  # memory of another library, with gaps
            array = owner = array.copy(order="K")
            self._alive.append(owner)
            low, high = byte_bounds(owner)
        if id(owner) not in self._owners:
            self._alive.append(owner)
            self._owners[id(owner)] = self._buffer(owner)
        if array.nbytes > owner.nbytes:  # it shows some memory several times; a copy may be much larger
            raise CannotBeKept
        offset = array.__array_interface__["data"][0] - low if array.size else 0
        return ["array", self._owners[id(owner)], _type_text(array.dtype), array.shape, array.strides, offset]

    def _buffer(self, array: np.ndarray) -> int:
        """Add an array's bytes, in the order of its memory; return the buffer's number."""
        _type_text(array.dtype)
        self.buffers.append(array.ravel(order="K").tobytes())
        return len(self.buffers) - 1


def _type_text(dtype: np.dtype) -> str:
    if dtype.hasobject or dtype.names or dtype.subdtype or np.dtype(dtype.str) != dtype:
        raise CannotBeKept
    return str(dtype.str)


def _is_plain(key: Any) -> bool:
    if type(key) is tuple:
        return all(map(_is_plain, key))
    return key is None or type(key) in (bool, int, float, str, bytes) or isinstance(key, np.generic)


class _Decoder:
    def __init__(self, content: bytes) -> None:
        start = 8 + int.from_bytes(content[:8], "little")
        if nb_values(content) > MOST_VALUES:
            raise DamagedError
        self.document = parse_json(content[8:start])
        self.buffers: list[np.ndarray] = []
        for length in self.document["buffers"]:
            if type(length) is not int or not 0 <= length <= len(content) - start:
                raise DamagedError
            self.buffers.append(np.frombuffer(content, np.uint8, length, start).copy())
            start += length
        self.met: list[Any] = []
        self.unread = len(content)  # bytes of numbers that may still become lists, each byte once
        self.nb_narrow = 0

    def value(self, node: Any) -> Any:
        if not isinstance(node, list):
            if isinstance(node, dict):
                raise DamagedError
            return node
        kind, *rest = node
        if kind == "scalar":
            return np.ndarray((), _type(rest[0]), bytes.fromhex(rest[1]))[()]
        if kind == "bytes":
            return bytes.fromhex(rest[0])
        if kind == "tuple":
            return tuple(map(self.value, rest))
        if kind == "same":
            return self.met[rest[0]]
        place = len(self.met)
        self.met.append(None)
        if kind == "array":
            buffer, text, shape, strides, offset = rest
            made: Any = np.ndarray(tuple(shape), _type(text), self.buffers[buffer], offset, tuple(strides))
            if made.nbytes > self.buffers[buffer].nbytes:
                raise DamagedError
        elif kind == "numbers":
            self.unread -= self.buffers[rest[1]].nbytes
            if self.unread < 0:
                raise DamagedError
            numbers = self.buffers[rest[1]].view({"int": "<i8", "float": "<f8"}.get(rest[0]) or _type(rest[0]))
            self.nb_narrow += numbers.size * (numbers.itemsize < 8)
            if self.nb_narrow > MOST_NARROW or numbers.dtype.kind not in "biufc":
                raise DamagedError
            made = numbers.tolist() if rest[0] in ("int", "float") else list(numbers)
        elif kind == "held":
            made = self.met[place] = Held(rest[0], rest[1], None)
            made.content = self.value(rest[2])
        elif kind in ("set", "frozenset"):
            made = {"set": set, "frozenset": frozenset}[kind](_spread(list(map(self.value, rest))))
        else:
            if kind == "deque":
                made = deque(maxlen=rest[0])
            elif kind == "defaultdict":
                made = defaultdict(_FACTORIES[rest[0]])
            else:
                made = [] if kind == "list" else _DICTIONARIES[kind]()
            self.met[place] = made  # before its items, which may hold it
            items = rest[0 if kind in ("list", *_DICTIONARIES) else 1 :]
            if kind in ("list", "deque"):
                made.extend(map(self.value, items))
            else:
                # Keys are plain, so no value refers to one: all of them may come first.
                for key, value in zip(_spread(list(map(self.value, items[::2]))), items[1::2], strict=True):
                    made[key] = self.value(value)
        self.met[place] = made
        return made


def nb_values(content: bytes) -> int:
    """Return about how many values what `Encoder.encode` returned holds, apart from those in buffers; never too few."""
    text = content[8 : 8 + int.from_bytes(content[:8], "little")]
    return sum(map(text.count, (b",", b"[", b"{")))


def _spread(keys: list[Any]) -> list[Any]:
    """Return keys; raise `DamagedError` if many have the same hash, which anybody can choose for numbers."""
    if len(keys) > _MOST_ALIKE and max(Counter(map(hash, keys)).values()) > _MOST_ALIKE:
        raise DamagedError
    return keys


def _type(text: str) -> np.dtype:
    dtype = np.dtype(text)
    if dtype.hasobject or dtype.str != text:
        raise DamagedError
    return dtype


def decode(content: bytes) -> Any:
    """Undo `Encoder.encode`; raise `DamagedError` if the bytes are not what that returns."""
    try:
        decoder = _Decoder(content)
        return decoder.value(decoder.document["tree"])
    except Exception:
        raise DamagedError from None


def require_sound(tree: Any) -> None:
    """Raise `DamagedError` if a decoded tree holds a generator whose position lies outside its numbers.

    NumPy trusts the position, and would read whatever memory is there.
    """
    rest, seen = [tree], set[int]()
    while rest:
        value = rest.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, Held):
            rest.append(value.content)
        elif isinstance(value, dict):
            if isinstance(state := value.get("state"), dict) and "bit_generator" in value:
                require_within(state.get("pos", 0), 624)  # Mersenne Twister
                require_within(value.get("buffer_pos", 0), 4)  # Philox
            rest += value.values()
        elif isinstance(value, list | tuple | deque):
            rest += value


def require_within(value: Any, most: int) -> None:
    """Raise `DamagedError` if a value is not an integer from 0 to `most`."""
    if type(value) is not int or not 0 <= value <= most:
        raise DamagedError
