"""Weights files: HDF5 in Keras's classic layout, written whole or not at all; files of every generation can be read.

A file is a seal of 512 bytes (HDF5 calls it the user block; it holds a checksum of the rest), followed by HDF5 that any
Keras can read, with the agent's metadata as JSON in the attribute `kerasrl`.
"""

import hashlib
import io
import json
import os
import re
from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np

from kerasrl.errors import WeightsError, one_line
from kerasrl.phrases import to_type
from kerasrl.reading import parse_json, read_file
from kerasrl.storage.checkpoint import read_checkpoint
from kerasrl.storage.files import BLOCK, DamagedError, seal, unseal, write_whole
from kerasrl.storage.hdf5 import read_hdf5

_KIND = b"kerasrl weights 1"
_FEW = 2**22  # weights that fit into any computer's memory
_HDF5 = b"\x89HDF\r\n\x1a\n"


@dataclass(frozen=True)
class Weights:
    """The content of a weights file.

    `layers` has the arrays of each layer with weights by name, the layers in the model's order. `metadata` is what the
    agent stored, None in files of older Keras-RL versions. `origin` says in words what wrote the file. `ordered` says
    whether the arrays of a layer are in the model's order, too, so that their names do not matter. `together` is the
    digest of all weights that were written with these, to other files, None if they were written alone. `held` is what
    the processor held, as `held_state` encodes it, None if that is nothing, and `file` the file's name.
    """

    layers: list[dict[str, np.ndarray]]
    metadata: dict[str, Any] | None
    origin: str
    ordered: bool = True
    together: str | None = None
    held: bytes | None = None
    file: str = ""


def _leaves(model: Any) -> list[Any]:
    """Return the layers of a model and, in the place of each model among them, its own."""
    return [
        leaf
        for layer in model.layers
        for leaf in (_leaves(layer) if hasattr(layer, "layers") and hasattr(layer, "inputs") else [layer])
    ]


def _model_layers(model: Any, within: bool = False) -> list[tuple[str, list[Any]]]:
    """Return the name and the variables, trainable ones first, of each layer, or of those `within` models, with any."""
    found = _leaves(model) if within else model.layers
    layers = [(layer.name, [*layer.trainable_weights, *layer.non_trainable_weights]) for layer in found]
    return [(name, variables) for name, variables in layers if variables]


def arrays(model: Any) -> list[np.ndarray]:
    """Return the weights of a Keras model in the order of its file."""
    return [np.asarray(variable).copy() for _, variables in _model_layers(model) for variable in variables]


def digest(values: list[np.ndarray]) -> str:
    """Return a text that tells weights from others."""
    found = hashlib.sha256()
    for array in values:
        found.update(f"{array.dtype.str} {array.shape}\n".encode() + array.tobytes())
    return found.hexdigest()


def write(
    path: str | os.PathLike[str],
    model: Any,
    metadata: dict[str, Any] | None,
    values: list[np.ndarray] | None = None,
    together: str | None = None,
    held: bytes | None = None,
) -> None:
    """Write the weights of a Keras model to a file.

    Args:
        path: The file.
        model: Keras model, or anything that has its layers.
        metadata: What the file says besides them; anything JSON can hold.
        values: What `arrays` returned earlier, to be written in place of the model's present weights.
        together: The `digest` of these and other weights that are written to files of their own at the same moment.
        held: What `held_state.encoded` returned.

    Raises:
        WeightsError: The values are another network's.
        OSError: The file cannot be written; what was there stays.
    """
    own = arrays(model)
    if values is not None and [(v.shape, v.dtype) for v in values] != [(v.shape, v.dtype) for v in own]:
        raise WeightsError("the weights are another network's")
    rest = iter(own if values is None else values)
    buffer = io.BytesIO()
    with h5py.File(buffer, "w", userblock_size=BLOCK) as file:
        layers = _model_layers(model)
        file.attrs["layer_names"] = [name.encode() for name, _ in layers]
        file.attrs["backend"] = b"tensorflow"
        file.attrs["kerasrl"] = json.dumps(metadata)
        if together is not None:
            file.attrs["kerasrl_together"] = together
        for name, variables in layers:
            group = file.create_group(name)
            names = [f"{name}/{i}_{variable.name}" for i, variable in enumerate(variables)]
            group.attrs["weight_names"] = [weight.encode() for weight in names]
            for weight in names:
                group[weight] = next(rest)
        if held is not None:
            file["kerasrl_held"] = np.frombuffer(held, np.uint8)
    write_whole(path, seal(_KIND, buffer.getvalue()[BLOCK:]))


def exists(path: str | os.PathLike[str]) -> bool:
    """Return whether there is a weights file of this name, or a checkpoint of keras-rl2."""
    # A Path's own raise what is wrong with a folder on the way, which reading says better.
    return os.path.isfile(path) or os.path.isfile(f"{os.fspath(path)}.index")


def read(path: str | os.PathLike[str]) -> Weights:
    """Read weights written by this project, keras-rl (HDF5) or keras-rl2 (TensorFlow checkpoint).

    Raises:
        WeightsError: The file does not exist, does not hold weights, or is damaged.
    """
    name = os.fspath(path)
    if os.path.isdir(name):
        raise WeightsError(f"{name} is a folder; name a weights file in it")
    checkpoint = re.sub(r"\.(index|data-\d+-of-\d+)$", "", name)
    if os.path.isfile(checkpoint + ".index") and not os.path.isfile(checkpoint):
        return _read_checkpoint(checkpoint)
    try:
        content = read_file(name)
    except FileNotFoundError:
        raise WeightsError(f"there is no weights file {name}") from None
    except OSError as error:
        raise WeightsError(f"{name} cannot be read: {error.strerror}") from None
    if not content:
        raise WeightsError(f"{name} is empty: the program that wrote it was interrupted; use an earlier file")
    if content.startswith(b"kerasrl state") or re.search(r"_state\.memory-\d+$", name):
        kind = "a training state" if content.startswith(b"kerasrl state") else "the replay memory of a training state"
        resume = to_type("train.py --resume", "a training with resume=True")
        raise WeightsError(f"{name} is {kind}, which {resume} continues; weights are in files named .h5f")
    # What may be this project's file is read only if its seal is intact.
    at_block = content[BLOCK:].startswith(_HDF5)
    if content.startswith(_KIND) or at_block or (_HDF5 in content and b"kerasrl" in content):
        try:
            unseal(_KIND, content)
        except DamagedError:
            message = f"{name} is damaged (its checksum does not match its content); use another file"
            raise WeightsError(message) from None
    elif not content.startswith(_HDF5):
        raise WeightsError(f"{name} is not a weights file: it is not HDF5")
    layers, text, together, held = read_hdf5(name, content)  # anyone can seal a file, so none is trusted
    if text is None:
        return Weights(layers, None, "keras-rl or Keras (HDF5)", file=name)
    try:
        return Weights(layers, parse_json(text), "this project", together=together, held=held, file=name)
    except ValueError as error:
        raise WeightsError(f"{name} is damaged (its settings are not JSON: {error}); use another file") from None


def _read_checkpoint(name: str) -> Weights:
    layers: dict[tuple[int, ...], dict[str, np.ndarray]] = {}  # by their numbers in the model and the models within it
    try:
        for key, array in read_checkpoint(name).items():
            if found := re.fullmatch(r"((?:layer_with_weights-\d+/)+)(.+)/\.ATTRIBUTES/VARIABLE_VALUE", key):
                place = tuple(map(int, re.findall(r"-(\d+)/", found[1])))
                layers.setdefault(place, {})[found[2]] = array
    except (OSError, ValueError) as error:
        reason = one_line(error)[:120] or type(error).__name__
        raise WeightsError(f"{name} is a damaged TensorFlow checkpoint ({reason})") from error
    if not layers:
        raise WeightsError(f"{name} is a TensorFlow checkpoint, but holds no layers of a Keras model")
    origin = "keras-rl2 (TensorFlow checkpoint)"
    return Weights([layers[i] for i in sorted(layers)], None, origin, ordered=False, file=name)


def require_size(weights: Weights, nb_weights: int) -> None:
    """Raise `WeightsError` if a model of `nb_weights` would take far more memory than the file's own weights."""
    own = sum(array.size for arrays in weights.layers for array in arrays.values())
    if nb_weights > max(_FEW, 2 * own):
        raise WeightsError(f"the file has {own:,} weights, its settings describe a network of {nb_weights:,}")


def assign(model: Any, weights: Weights, skip_mismatch: bool = False) -> list[str]:
    """Set the weights of a Keras model; return which of its layers keep their own, and why, in words.

    Raises:
        WeightsError: They are another network's; the model keeps its own. With `skip_mismatch`, as in Keras, only those
            of layers that have other shapes, as long as there are as many layers in both, and any fits.
    """
    named = _model_layers(model, within=not weights.ordered)
    names, layers = [name for name, _ in named], [variables for _, variables in named]
    values = [list(arrays.values()) for arrays in weights.layers]
    found, wanted = _shapes(values), _shapes(layers)
    are_as_many = len(values) == len(layers)
    if not weights.ordered and are_as_many:
        values = [_by_name(*layer) for layer in zip(weights.layers, layers, strict=True)]
    misfits = {
        i: f"{names[i]} ({_told(found[i], wanted[i])} in the file, {_told(wanted[i], found[i])} in the model)"
        for i, shapes in enumerate(_shapes(values) if are_as_many else [])
        if shapes != wanted[i]
    }
    if misfits or not are_as_many:
        are_others = 0 < len(misfits) < len(layers)
        if not (skip_mismatch and are_others):
            text = f"the weights are another network's: the file has {_text(found)}, the model {_text(wanted)}"
            error = WeightsError(text)
            error.misfits, error.are_others = list(misfits.values()), are_others
            raise error
    for i, (variables, arrays) in enumerate(zip(layers, values, strict=True)):
        for variable, value in zip(variables, arrays, strict=True) if i not in misfits else ():
            variable.assign(value)
    return list(misfits.values())


def _shapes(layers: list[list[Any]]) -> list[list[tuple[int, ...]]]:
    return [[tuple(array.shape) for array in arrays] for arrays in layers]


def _by_name(arrays: dict[str, np.ndarray], variables: list[Any]) -> list[np.ndarray]:
    """Return a layer's arrays in the order of its variables, or none if the names do not say which is which."""
    named = {path.rpartition("/")[2]: array for path, array in arrays.items()}
    names = [variable.name for variable in variables]
    return [named[name] for name in names] if sorted(names) == sorted(named) and len(named) == len(arrays) else []


def _told(shapes: list[tuple[int, ...]], others: list[tuple[int, ...]]) -> str:
    """Name a layer by the shape of its kernel, or by all shapes if that is not what tells it from another."""
    kernel = max(shapes, key=len)
    return " and ".join("x".join(map(str, shape)) for shape in ([kernel] if kernel not in others else shapes))


def _text(layers: list[list[tuple[int, ...]]]) -> str:
    """Name each layer, or the first ten, by the shape of its kernel, such as '4x16, 16x2'."""
    kernels: list[tuple[int, ...]] = [max(shapes, key=len) for shapes in layers[:10]]
    listed = ", ".join("x".join(map(str, kernel)) for kernel in kernels) or "no layers"
    return f"{listed}, ... ({len(layers):,} layers)" if len(layers) > 10 else listed
