"""TensorFlow checkpoints, read without TensorFlow, which trusts them: a wrong shape or type in one kills the process.

NAME.index is a table as LevelDB writes it (https://github.com/google/leveldb/blob/main/doc/table_format.md). Its values
are TensorFlow's protocol buffers BundleHeaderProto and BundleEntryProto (tensorflow/core/protobuf/tensor_bundle.proto);
the files NAME.data-I-of-N hold the arrays' bytes.
"""

import math
from collections.abc import Iterator

import numpy as np

from kerasrl.reading import read_file

_FOOTER, _MAGIC = 48, 0xDB4775248B80FB57
_MOST_INDEX, _LONGEST_KEY, _MOST_SHARDS = 2**24, 4_096, 1_000
_TYPES = {1: "<f4", 2: "<f8", 3: "<i4", 4: "u1", 5: "<i2", 6: "i1", 9: "<i8", 10: "?", 17: "<u2", 19: "<f2"}


def read_checkpoint(name: str) -> dict[str, np.ndarray]:
    """Return the variables of a checkpoint's layers by name; anything else in it is left out.

    Raises ValueError if it is damaged or of another kind, OSError if a file cannot be read.
    """
    entries = dict(_table(read_file(f"{name}.index", _MOST_INDEX)))
    nb_shards = _fields(entries.get(b"", b"")).get(1, [0])[0]
    if not isinstance(nb_shards, int) or not 1 <= nb_shards <= _MOST_SHARDS:
        raise ValueError("its index does not have a header")
    shards: dict[int, bytes] = {}
    arrays, total = {}, 0
    for key, value in entries.items():
        if not key.startswith(b"layer_with_weights-") or b".OPTIMIZER_SLOT" in key:
            continue
        kind, shape, shard, offset, size, checksum = _entry(value)
        if shard >= nb_shards:
            raise ValueError("it names a file that does not exist")
        if shard not in shards:
            shards[shard] = read_file(f"{name}.data-{shard:05d}-of-{nb_shards:05d}")
        content = shards[shard][offset : offset + size]
        total += size
        if len(content) != size or total > sum(map(len, shards.values())) or _checksum(content) != checksum:
            raise ValueError("its checksums do not match its content")
        arrays[key.decode()] = np.frombuffer(content, kind).reshape(shape)
    return arrays


def _entry(value: bytes) -> tuple[np.dtype, list[int], int, int, int, int]:
    """Return an array's type, shape, number of its file, offset, size and checksum."""
    fields = _fields(value)
    found = [fields.get(number, [0])[0] for number in (1, 3, 4, 5, 6)]
    found += [_fields(size).get(1, [0])[0] for shape in fields.get(2, []) for size in _fields(shape).get(2, [])]
    numbers = [number for number in found if isinstance(number, int)]
    if len(numbers) < len(found) or numbers[0] not in _TYPES or 7 in fields:  # 7: slices of an array
        raise ValueError("it holds something other than arrays of numbers")
    kind, shard, offset, size, checksum, *dimensions = numbers
    dtype = np.dtype(_TYPES[kind])
    if len(dimensions) > 8 or math.prod(dimensions) * dtype.itemsize != size or size == 0:
        raise ValueError("a shape does not match its content")
    return dtype, dimensions, shard, offset, size, checksum


def _table(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    footer = content[-_FOOTER:]
    if len(footer) < _FOOTER or int.from_bytes(footer[-8:], "little") != _MAGIC:
        raise ValueError("its index is not a table")
    at = 0
    for _ in range(2):  # past the offset and size of a block that is empty
        _, at = _number(footer, at)
    offset, at = _number(footer, at)
    size, _ = _number(footer, at)
    end = 0
    for _, handle in _block(content, offset, size):
        offset, at = _number(handle, 0)
        size, _ = _number(handle, at)
        if offset < end:  # each block once
            raise ValueError("its index names a block twice")
        end = offset + size
        yield from _block(content, offset, size)


def _block(content: bytes, offset: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    """Yield a block's keys and values; each key begins with a part of the one before it."""
    block, checksum = content[offset : offset + size + 1], content[offset + size + 1 : offset + size + 5]
    if size < 4 or len(checksum) != 4 or block[-1] or _checksum(block) != int.from_bytes(checksum, "little"):
        raise ValueError("its index is damaged")
    nb_restarts = int.from_bytes(block[-5:-1], "little")
    at, end, key = 0, size - 4 * (nb_restarts + 1), b""
    while at < end:
        shared, at = _number(block, at)
        unshared, at = _number(block, at)
        length, at = _number(block, at)
        key = key[:shared] + block[at : at + unshared]
        if len(key) > _LONGEST_KEY:
            raise ValueError("a name is too long")
        at += unshared + length
        yield key, block[at - length : at]


def _fields(message: object) -> dict[int, list[int | bytes]]:
    """Return a protocol buffer's values by the numbers of their fields."""
    if not isinstance(message, bytes):
        raise ValueError("its index is damaged")
    fields: dict[int, list[int | bytes]] = {}
    at = 0
    while at < len(message):
        tag, at = _number(message, at)
        value: int | bytes
        if tag & 7 == 0:
            value, at = _number(message, at)
        elif tag & 7 == 2:
            length, at = _number(message, at)
            value, at = message[at : at + length], at + length
        elif tag & 7 == 5:
            value, at = int.from_bytes(message[at : at + 4], "little"), at + 4
        else:
            raise ValueError("its index is damaged")
        fields.setdefault(tag >> 3, []).append(value)
    return fields


def _number(content: bytes, at: int) -> tuple[int, int]:
    """Return the number, seven bits to a byte, that begins at a place, and the place after it."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(content):
            break
        byte = content[at]
        value, at = value | (byte & 127) << shift, at + 1
        if byte < 128:
            return value, at
    raise ValueError("its index is damaged")


_CRC32C = list(range(256))
for _ in range(8):
    _CRC32C = [value >> 1 ^ (0x82F63B78 if value & 1 else 0) for value in _CRC32C]


def _checksum(content: bytes) -> int:
    """Return a checksum as files hold it: a masked CRC-32C, which no library here computes; a megabyte takes 0.2 s."""
    value, table = 0xFFFFFFFF, _CRC32C
    for byte in content:
        value = table[(value ^ byte) & 255] ^ value >> 8
    value ^= 0xFFFFFFFF
    return ((value >> 15 | value << 17) + 0xA282EAD8) & 0xFFFFFFFF
