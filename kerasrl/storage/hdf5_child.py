"""Reads the arrays of an HDF5 file; `kerasrl.storage.hdf5` runs this as a program of its own.

The HDF5 library trusts what it reads: a file can make it hang, take all memory, crash, or read other files. So it reads
here, in a process with little time and memory that cannot open any file. Nothing else of this project is imported.

The file comes on stdin. A line of JSON goes to stdout, {"refused": why}, {"damaged": why} or {"layers": [[[name, type,
shape], ...], ...], "metadata": text or null, "together": text or null, "held": number or null}, then the bytes of one
array after another, and so many bytes that say what a processor held.
"""

import contextlib
import io
import json
import sys
from typing import Any

import h5py
import numpy as np

_SECONDS, _MEMORY = 2, 512 * 2**20  # in addition to what the size of the file requires
_PLACES = (h5py.h5d.COMPACT, h5py.h5d.CONTIGUOUS, h5py.h5d.CHUNKED)  # of an array in the file itself


class _RefusedError(Exception):
    """The content is not what Keras writes."""


def _limit(size: int) -> None:
    """Limit this process's time and memory and keep it from opening files, on systems that can do so."""
    with contextlib.suppress(ImportError):  # Windows
        import resource

        limits = {
            resource.RLIMIT_CPU: _SECONDS + size // 50_000_000,
            resource.RLIMIT_AS: _MEMORY + 6 * size,
            resource.RLIMIT_NOFILE: 3,  # the standard streams
            resource.RLIMIT_FSIZE: 0,
            resource.RLIMIT_CORE: 0,
        }
        for kind, most in limits.items():
            with contextlib.suppress(ValueError, OSError):  # a stricter limit is in force, or the system has none
                resource.setrlimit(kind, (most, most))


def _plain(group: Any, path: str) -> Any:
    """Return what a path within a group names, following only links inside the file."""
    for part in path.split("/"):
        if not isinstance(group, h5py.Group) or not isinstance(group.get(part, getlink=True), h5py.HardLink):
            raise _RefusedError("it lacks some of them, or says that they are elsewhere")
        group = group[part]
    return group


def _names(thing: Any, attribute: str, size: int) -> list[str]:
    shape = thing.attrs.get_id(attribute).shape
    if len(shape) != 1 or shape[0] > size:
        raise _RefusedError("its lists of names are damaged")
    return [value.decode() if isinstance(value, bytes) else str(value) for value in thing.attrs[attribute]]


def _require_array(dataset: Any) -> None:
    """Refuse anything but an array of numbers in the file itself."""
    if not isinstance(dataset, h5py.Dataset) or dataset.dtype.kind not in "fiub" or dataset.shape is None:
        raise _RefusedError("they are not arrays of numbers")
    properties = dataset.id.get_create_plist()
    if properties.get_layout() not in _PLACES or properties.get_external_count():
        raise _RefusedError("it says that they are in other files")
    if properties.get_nfilters():
        raise _RefusedError("they are compressed, which Keras never does")


def _read(file: Any, size: int) -> tuple[list[list[tuple[str, Any]]], list[str | None], Any]:
    """Return names and arrays of each layer's weights, each of this project's texts, and its array of bytes.

    Texts and array are None if there are none.
    """
    root = _plain(file, "model_weights") if "model_weights" in file else file
    if "layer_names" not in root.attrs:
        raise _RefusedError("it holds none")
    found, addresses, total = [], set(), 0
    for layer in _names(root, "layer_names", size):
        group = _plain(root, layer)
        datasets = [(name, _plain(group, name)) for name in _names(group, "weight_names", size)]
        for _, dataset in datasets:
            _require_array(dataset)
            addresses.add(h5py.h5o.get_info(dataset.id).addr)
            total += dataset.nbytes
            if total > size:
                raise _RefusedError("it claims more than it can hold")
        found.append(datasets)
    held = _plain(file, "kerasrl_held") if "kerasrl_held" in file else None
    if held is not None:
        _require_array(held)
        addresses.add(h5py.h5o.get_info(held.id).addr)
        if held.dtype != "u1" or held.ndim != 1 or total + held.nbytes > size:
            raise _RefusedError("the state of its processor is damaged")
    if len(addresses) != sum(map(len, found)) + (held is not None):
        raise _RefusedError("it names one twice")
    # Now that it is known to be little, read all of it.
    layers = [[(name, dataset[()]) for name, dataset in datasets] for datasets in found]
    texts = [str(file.attrs[name]) if name in file.attrs else None for name in ("kerasrl", "kerasrl_together")]
    return layers, texts, None if held is None else held[()]


def _rehearse() -> None:
    """Read a small file of the same kind, so that all modules are imported while they still can be."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file.attrs["layer_names"], file.attrs["kerasrl"] = [b"layer"], "text"
        file["layer/weight"], file["kerasrl_held"] = [1.0], np.zeros(1, np.uint8)
        file["layer"].attrs["weight_names"] = [b"weight"]
    with h5py.File(buffer, "r") as file:
        _read(file, 10_000)


def answer(content: bytes) -> bytes:
    """Return what goes to stdout for a file's content."""
    arrays = []
    try:
        with h5py.File(io.BytesIO(content), "r") as file:
            layers, (metadata, together), held = _read(file, len(content))
        arrays = [array for layer in layers for _, array in layer]
        listed = [[(name, array.dtype.str, array.shape) for name, array in layer] for layer in layers]
        found: dict[str, Any] = {"layers": listed, "metadata": metadata, "together": together, "held": None}
        if held is not None:
            found["held"] = held.nbytes
            arrays.append(held)
    except _RefusedError as error:
        found = {"refused": str(error)}
    except Exception as error:  # h5py raises anything from OSError to RuntimeError
        found = {"damaged": " ".join(str(error).split())[:120] or type(error).__name__}
    return b"".join([json.dumps(found).encode(), b"\n", *(array.tobytes() for array in arrays)])


def _main() -> None:
    content = sys.stdin.buffer.read()
    _rehearse()
    _limit(len(content))
    sys.stdout.buffer.write(answer(content))


if __name__ == "__main__":
    _main()
