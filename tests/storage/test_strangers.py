"""Malicious files: whoever can write a file can also compute its checksum."""

import errno
import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import h5py
import numpy as np
import pytest

from kerasrl import SequentialMemory
from kerasrl.storage import checkpoint, encoding, memory_file, state, weights
from kerasrl.storage.encoding import Encoder, decode, nb_values
from kerasrl.storage.files import DamagedError, seal
from kerasrl.storage.memory_file import MemoryFile

ROOT = Path(__file__).parents[2]


LIMITS = """
import resource
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 2 * 2**30,) * 2)
resource.setrlimit(resource.RLIMIT_CPU, (300, 300))
"""


def run(python, code, *arguments):
    """Run Python with 2 GB and, if it does not end, 5 minutes of a processor; return its one line.

    That is what it printed, or its `UserError`.
    """
    begin = "import sys\nfrom pathlib import Path\nfrom kerasrl.errors import UserError\ntry:\n"
    end = "\nexcept UserError as error:\n    print('refused:', error)"
    code = begin + textwrap.indent(textwrap.dedent(code), "    ") + end
    status, output, errors = python.run(ROOT, "-c", code, *map(str, arguments), before=LIMITS, wanted=["apart"])
    assert (status, errors) == (0, "")
    (line,) = output.splitlines()
    return line


# Weights


@pytest.fixture(scope="module")
def read(python):
    code = """
        from kerasrl.storage import checkpoint, weights
        print("read:", *(array.tobytes() for layer in weights.read(sys.argv[1]).layers for array in layer.values()))
    """
    return lambda path: run(python, code, path)


def hdf5(path, fill, **settings):
    """Write what `fill` puts into the group of a layer with one array, as Keras lists it."""
    with h5py.File(path, "w", **settings) as file:
        file.attrs["layer_names"] = [b"dense"]
        group = file.create_group("dense")
        group.attrs["weight_names"] = [b"kernel"]
        fill(group)
    return path


def external(path, folder):
    return lambda group: group.create_dataset("kernel", (16,), "u1", external=[(str(path), 0, 16)])


def test_no_other_files_bytes_become_weights(tmp_path, said, read):
    (tmp_path / "secret").write_text("what nobody sees")
    path = hdf5(tmp_path / "w.h5f", external(tmp_path / "secret", tmp_path))
    assert f"refused: {path}" in said(read(path))


def test_a_pipe_that_weights_name_is_not_waited_for(tmp_path, said, read):
    os.mkfifo(tmp_path / "pipe")
    assert "refused: " in said(read(hdf5(tmp_path / "w.h5f", external(tmp_path / "pipe", tmp_path))))


def test_a_pipe_in_the_place_of_weights_is_not_waited_for(tmp_path, said, read):
    os.mkfifo(tmp_path / "w.h5f")
    assert f"refused: {tmp_path / 'w.h5f'}" in said(read(tmp_path / "w.h5f"))


def virtual(group):
    layout = h5py.VirtualLayout((16,), "f4")
    layout[:] = h5py.VirtualSource("other.h5", "secret", (16,))
    group.create_virtual_dataset("kernel", layout)


def linked(link):
    def fill(group):
        group["kernel"] = link

    return fill


@pytest.mark.parametrize(
    "fill",
    [virtual, linked(h5py.ExternalLink("other.h5", "secret")), linked(h5py.SoftLink("/dense"))],
    ids=["virtual", "external link", "soft link"],
)
def test_links_out_of_the_file_are_refused(tmp_path, fill, said, read):
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["secret"] = np.ones(16, np.float32)
    assert "refused: " in said(read(hdf5(tmp_path / "w.h5f", fill)))


@pytest.mark.long
def test_one_layer_named_3000_times_is_not_read_3000_times(tmp_path, said, read):
    with h5py.File(tmp_path / "w.h5f", "w") as file:
        file.attrs["layer_names"] = [b"dense"] * 3_000
        file["dense/kernel"] = np.ones(2**18, np.float32)
        file["dense"].attrs["weight_names"] = [b"kernel"]
    assert "refused: " in said(read(tmp_path / "w.h5f"))


def test_an_array_with_two_names_is_refused(tmp_path, said, read):
    def fill(group):
        group["kernel"] = np.ones(4, np.float32)
        group["bias"] = group["kernel"]
        group.attrs["weight_names"] = [b"kernel", b"bias"]
        group["padding"] = np.ones(4_096)

    assert "refused: " in said(read(hdf5(tmp_path / "w.h5f", fill)))


@pytest.mark.parametrize(
    "how",
    [
        {"shape": 10**8, "chunks": (10**6,), "compression": "gzip"},
        {"shape": 10**8, "chunks": (10**6,)},  # none of whose chunks is written
        *({"shape": 10**11}, {"shape": 4, "dtype": h5py.string_dtype()}, {"shape": 4, "dtype": h5py.ref_dtype}),
    ],
    ids=["compressed", "sparse", "huge", "texts", "references"],
)
def test_arrays_that_are_more_than_they_seem_are_refused(tmp_path, how, said, read):
    how = {"dtype": "f4", **how}
    assert "refused: " in said(read(hdf5(tmp_path / "w.h5f", lambda group: group.create_dataset("kernel", **how))))


def test_chunks_in_the_file_itself_are_read(tmp_path, read):
    values = np.arange(6, dtype=np.float32)
    path = hdf5(tmp_path / "w.h5f", lambda group: group.create_dataset("kernel", data=values, chunks=(4,)))
    assert read(path) == f"read: {values.tobytes()}"


def test_a_file_that_crashes_hdf5_is_one_line(tmp_path, said, read):
    path = hdf5(tmp_path / "w.h5f", lambda group: group.create_dataset("kernel", data=np.ones(4, np.float32)))
    content = bytearray(path.read_bytes())
    tree = content.index(b"TREE", content.index(b"TREE") + 1)  # of the links in the layer's group
    content[tree + 5] = 1  # its level: its child is a node like this one
    content[tree + 32 : tree + 40] = tree.to_bytes(8, "little")  # and is this one
    path.write_bytes(content)
    assert f"refused: {path}" in said(read(path))


def sealed(path, metadata):
    """Write a file as this project writes it, with any text for its settings."""
    hdf5(path, lambda group: group.create_dataset("kernel", data=np.ones(4, np.float32)), userblock_size=512)
    with h5py.File(path, "a") as file:
        file.attrs["kerasrl"] = metadata
    path.write_bytes(seal(b"kerasrl weights 1", path.read_bytes()[512:]))
    return path


@pytest.mark.parametrize(
    "metadata", ["[" * 100_000, '{"seed": ' + "1" * 5_000 + "}", "{"], ids=["deep", "digits", "cut"]
)
def test_settings_that_are_no_json_are_one_line(tmp_path, metadata, said, read):
    path = sealed(tmp_path / "w.h5f", metadata)
    assert f"refused: {path}" in said(read(path), r"(?<=4300 digits).*(?=\))|(?<=Expecting ).*(?=\))")  # Python's words


@pytest.mark.parametrize("begin", [b"", b"kerasrl weights 1", b"\x89HDF\r\n\x1a\n"], ids=["none", "own", "HDF5"])
def test_holes_in_the_place_of_weights_are_refused(tmp_path, begin, said, read):
    (tmp_path / "w.h5f").write_bytes(begin)
    os.truncate(tmp_path / "w.h5f", 2**31)
    assert "holes" in said(read(tmp_path / "w.h5f"))


def test_what_is_sealed_here_is_read(tmp_path, read):
    path = sealed(tmp_path / "w.h5f", json.dumps({"env": "CartPole-v0"}))
    assert weights.read(path).metadata == {"env": "CartPole-v0"}


# TensorFlow checkpoints


@pytest.mark.parametrize(
    ("dtype", "dims", "size"),
    [
        *((1, [10**12], 32), (1, [10**12], 4 * 10**12), (1, [2**40, 2**40], 32), (1, [2**64 - 1], 32)),
        *((7, [10**9], 32), (99, [8], 32)),
    ],
    ids=["shape", "size", "overflow", "negative", "texts", "type"],
)
def test_checkpoints_that_end_tensorflow_are_refused(tmp_path, dtype, dims, size, said, read):
    write_checkpoint(tmp_path / "w.h5f", dtype, dims, size)
    assert f"refused: {tmp_path / 'w.h5f'}" in said(read(tmp_path / "w.h5f"))


def test_a_checkpoint_that_is_written_here_is_read(tmp_path, read):
    write_checkpoint(tmp_path / "w.h5f", dtype=1, dims=[4, 2], size=32)
    assert read(tmp_path / "w.h5f") == f"read: {bytes(range(32))}"


def write_checkpoint(path, dtype, dims, size):
    """Write a checkpoint of one array, whose bytes are 0, 1, 2, ..., with right checksums."""

    def number(value):
        return bytes([value]) if value < 128 else bytes([value & 127 | 128]) + number(value >> 7)

    def text(content):
        return number(len(content)) + content

    def block(*pairs):
        entries = b"".join(b"\0" + number(len(key)) + number(len(value)) + key + value for key, value in pairs)
        return entries + (0).to_bytes(4, "little") + (1).to_bytes(4, "little")

    def checksum(content):
        return checkpoint._checksum(content).to_bytes(4, "little")

    def add(content):
        nonlocal index
        place = number(len(index)) + number(len(content))
        index += content + b"\0" + checksum(content + b"\0")
        return place

    index, data = b"", bytes(range(256))
    shape = b"".join(b"\x12" + text(b"\x08" + number(dim)) for dim in dims)
    entry = b"\x08" + number(dtype) + b"\x12" + text(shape) + b"\x28" + number(size) + b"\x35" + checksum(data[:size])
    places = [
        add(block((b"", b"\x08\x01"), (b"layer_with_weights-0/kernel/.ATTRIBUTES/VARIABLE_VALUE", entry))),
        add(block()),
    ]
    places.append(add(block((b"m", places[0]))))
    index += (places[1] + places[2]).ljust(40, b"\0") + (0xDB4775248B80FB57).to_bytes(8, "little")
    path.with_name(f"{path.name}.index").write_bytes(index)
    path.with_name(f"{path.name}.data-00000-of-00001").write_bytes(data)


# Training states


@pytest.fixture(scope="module")
def resumes(python, tmp_path_factory):
    """What is said about each state in read_states.py, by its name."""
    path = Path(__file__).with_name("read_states.py")
    folder = tmp_path_factory.mktemp("states")
    done = python.run(folder, path, folder)
    assert done.status == 0, done.errors
    return {line["name"]: line["said"] for line in map(json.loads, done.output.splitlines())}


STATES = [
    *("objects", "other size", "texts", "huge", "other column", "no record", "no number", "no capacity"),
    *("negative segment", "endless segment", "overlapping segments", "missing segment", "endless memory"),
    *("numpy's place", "another generator's place", "Philox's place", "negative step", "settings in a list"),
    *("limit in words", "no tree", "callbacks that are numbers", "one array many times", "one number many times"),
    *("negative strides", "claiming", "pointers", "long buffer", "negative buffer", "deep", "digits"),
    *("finished by numbers", "pipe for steps", "link for steps", "no steps", "pipe for a state"),
    *("holes for a state", "holes for steps"),
    *("ended without length", "callback's state of another kind"),
]


@pytest.mark.parametrize("name", STATES)
def test_states_that_were_made_to_hurt_are_refused_in_one_line(resumes, said, name):
    assert "PATH" in (line := said(resumes[name])) and "\n" not in line


@pytest.mark.parametrize("keys", ["alike", "apart"])
@pytest.mark.parametrize("kind", ["dict", "set", "frozenset", "defaultdict", "OrderedDict", "Counter"])
def test_of_keys_that_anybody_can_choose_only_few_may_have_the_same_hash(kind, keys):
    numbers = [i * (2**61 - 1) + (i if keys == "apart" else 0) for i in range(200)]
    nodes = numbers if "set" in kind else [part for key in numbers for part in (key, None)]
    text = json.dumps({"buffers": [], "tree": [kind, *(["int"] if kind == "defaultdict" else []), *nodes]}).encode()
    content = len(text).to_bytes(8, "little") + text
    if keys == "apart":
        assert list(decode(content)) == numbers or set(decode(content)) == set(numbers)
    else:
        with pytest.raises(DamagedError):
            decode(content)


def test_more_values_than_a_resume_reads_are_neither_read_nor_written(monkeypatch, tmp_path, refused):
    content = Encoder().encode([[], ["a"] * 9])
    assert decode(content) == [[], ["a"] * 9]
    for module in (encoding, state):
        monkeypatch.setattr(module, "MOST_VALUES", nb_values(content) - 1)
    with pytest.raises(DamagedError):
        decode(content)
    with refused("NumPy arrays"):
        state._encoded([[], ["a"] * 9])


@pytest.mark.parametrize("dtype", [np.float16, np.bool_])
def test_longer_lists_of_small_numbers_than_a_resume_reads_are_neither_read_nor_written(monkeypatch, refused, dtype):
    many = [[dtype(1)] * 20, [dtype(0)] * 20, [1.0] * 20]
    content = Encoder().encode(many)
    for module in (encoding, state):
        monkeypatch.setattr(module, "MOST_NARROW", 40)
    assert decode(content) == many
    for module in (encoding, state):
        monkeypatch.setattr(module, "MOST_NARROW", 39)
    with pytest.raises(DamagedError):
        decode(content)
    with refused("NumPy arrays"):
        state._encoded(many)


def test_a_list_of_anything_but_numbers_is_not_made_of_bytes():
    text = json.dumps({"buffers": [40], "tree": ["numbers", "|S1", 0]}).encode()
    with pytest.raises(DamagedError):
        decode(len(text).to_bytes(8, "little") + text + b"a" * 40)


def test_steps_that_only_somebody_else_may_read_are_not_said_to_be_missing(monkeypatch, tmp_path, refused):
    def open_as_another_user(*_):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    memory, file = SequentialMemory(9), MemoryFile(tmp_path / "state", 9)
    memory.append(np.zeros(4), 0, 1.0, False)
    place = file.add(memory)
    monkeypatch.setattr(memory_file, "is_hollow", open_as_another_user)
    with refused("cannot be read: Permission denied"):
        file.read(place, memory)


@pytest.mark.parametrize("name", ["untouched", "prioritised"])
def test_states_that_were_not_are_resumed(resumes, name):
    assert resumes[name] == "resumed"


@pytest.mark.parametrize(
    ("name", "begin", "end"),
    [
        ("ended by numbers", "the training state PATH does not fit this training (ValueError: The truth value", ")"),
        ("long version", "the training state PATH does not fit this training (ValueError: state with version v", "v)"),
        ("long callback", "the run to resume had the callbacks CCC", "CCC"),
        ("long processor", "cannot resume with a different object: the state has PPP", "PPP, this training has none"),
        ("prioritised, long epsilon", "the memory to resume with has epsilon eee", "eee, this one 1e-06"),
    ],
)
def test_what_a_refusal_quotes_from_a_state_is_cut(resumes, name, begin, end):
    said = resumes[name]
    assert (said.startswith(begin), said.endswith(end), len(said) < 300) == (True, True, True), said[:300]


@pytest.mark.long
def test_files_damaged_at_random_end_in_a_result_or_one_line(tmp_path):
    script = Path(__file__).with_name("fuzz.py")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, script, "120"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    assert {line.split()[0] for line in done.stdout.splitlines() if " refused " in line} == {
        *("weights_file", "settings_file", "checkpoint_files", "state_file", "memory_file"),
        *("log_file", "toml_file", "space_file", "held_file"),
    }
