"""Weights files that a disk or a network has damaged: right values or one clear line, whatever was damaged."""

import random
import time
import tracemalloc

import numpy as np
import pytest

from kerasrl import WeightsError
from kerasrl.storage import weights
from model import build_model


def truncated(content, draws):
    return content[: draws.randrange(len(content))]


def with_flipped_bits(content, draws):
    damaged = bytearray(content)
    for _ in range(draws.choice([1, 1, 2, 8, 64])):
        damaged[draws.randrange(len(damaged))] ^= 1 << draws.randrange(8)
    return bytes(damaged)


def with_swapped_blocks(content, draws):
    size = draws.choice([64, 512, 4096])
    blocks = [content[i : i + size] for i in range(0, len(content), size)]
    i, j = draws.randrange(len(blocks)), draws.randrange(len(blocks))
    blocks[i], blocks[j] = blocks[j], blocks[i]
    return b"".join(blocks)


def with_random_bytes(content, draws):
    length = draws.choice([1, 16, 512, 5000])
    start = draws.randrange(-100, len(content))
    start = max(start, 0)
    return content[:start] + draws.randbytes(length) + content[start + length :]


@pytest.mark.long
@pytest.mark.parametrize("damage", [truncated, with_flipped_bits, with_swapped_blocks, with_random_bytes])
def test_damaged_files_give_right_values_or_one_clear_line(tmp_path, damage):
    path = tmp_path / "weights.h5f"
    weights.write(path, build_model(4, 2), {"env": "CartPole-v0"})
    content = path.read_bytes()
    right = [array for layer in weights.read(path).layers for array in layer.values()]
    draws, nb_refused = random.Random(damage.__name__), 0
    tracemalloc.start()
    begin = time.process_time()
    weights.read(path)
    usual = max(time.process_time() - begin, 0.01)
    for _ in range(250):
        path.write_bytes(damage(content, draws))
        begin = time.process_time()
        try:
            found = [array for layer in weights.read(path).layers for array in layer.values()]
        except WeightsError as error:
            nb_refused += 1
            assert str(path) in str(error)
            assert "\n" not in str(error)
        else:
            assert path.read_bytes() == content  # the damage changed nothing
            assert all(np.array_equal(a, b) for a, b in zip(found, right, strict=True))
        assert time.process_time() - begin < 100 * usual
    assert tracemalloc.get_traced_memory()[1] < 500e6
    tracemalloc.stop()
    assert nb_refused > 200
