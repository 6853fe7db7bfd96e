"""What a training state may hold, checked before NumPy, which trusts it, is given any of it."""

import io
import math
import zipfile
from typing import Any

import numpy as np

from kerasrl.reading import parse_json
from kerasrl.storage.files import DamagedError

_MOST_COPIES = 8  # of all arrays, if their names stand in the tree several times


def require_plain(content: bytes) -> bytes:
    """Return the archive of arrays that `trees.encode` wrote.

    Raises:
        DamagedError: It is packed, or would take much more memory than its own size.
        Exception: It is no archive; zipfile, NumPy and JSON raise anything.
    """
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = archive.infolist()
        names = [member.filename for member in members]
        packed = any(member.compress_type != zipfile.ZIP_STORED for member in members)
        if packed or len(set(names)) != len(names) or sum(member.file_size for member in members) > len(content):
            raise DamagedError
        sizes = {member.filename: _array_size(archive, member) for member in members}
        text = archive.read("arr_0.npy")
    tree = parse_json(text[len(text) - sizes["arr_0.npy"] :])
    if sum(sizes[f"arr_{number + 1}.npy"] for number in _references(tree)) > _MOST_COPIES * len(content):
        raise DamagedError
    return content


def _array_size(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> int:
    """Return the bytes of an array's values if they are what is in the archive after the array's type and shape."""
    with archive.open(member) as file:
        read_head = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
        shape, _, dtype = read_head[np.lib.format.read_magic(file)](file)
        size = member.file_size - file.tell()
    fits = math.prod(shape) * dtype.itemsize == size and min(shape, default=0) >= 0
    if dtype.hasobject or dtype.itemsize == 0 or not fits or max(shape, default=0) > member.file_size:
        raise DamagedError
    return size


def _references(tree: Any) -> list[int]:
    """Return the numbers of the arrays that a tree names, as often as it names them."""
    found, rest = [], [tree]
    while rest:
        match rest.pop():
            case {"__array__": int() as number}:
                found.append(number)
            case dict() as table:
                rest += table.values()
            case list() as values:
                rest += values
    return found


def require_sound(tree: Any) -> None:
    """Raise `DamagedError` if a tree has a generator whose place in its numbers is not among them.

    NumPy would read what is beside them.
    """
    rest = [tree]
    while rest:
        match rest.pop():
            case {"bit_generator": _, "state": dict() as state} as generator:
                require_within(state.get("pos", 0), 624)  # Mersenne Twister
                require_within(generator.get("buffer_pos", 0), 4)  # Philox
            case dict() as table:
                rest += table.values()
            case list() | tuple() as values:
                rest += values


def require_within(value: Any, most: int) -> None:
    """Raise `DamagedError` if a value is not a whole number from 0 to `most`."""
    if type(value) is not int or not 0 <= value <= most:
        raise DamagedError
