"""Writing a network to a file in another program's format, and reading it there. No TensorFlow before it is needed."""

import contextlib
import importlib.util
import json
import tempfile
import warnings
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from kerasrl.compat.quiet import quiet_stderr
from kerasrl.errors import UserError, to_install, to_type
from kerasrl.storage.files import naming

# From the arrays of a model's inputs, by name, to Q-values [B, num_actions].
QValues = Callable[[dict[str, np.ndarray]], np.ndarray]
ABOUT = "kerasrl"  # under which name the metadata stands in a file
OUTPUT = "q_values"


class Format(ABC):
    """A kind of file; `about` is what is told of the network in the file, anything JSON can hold."""

    name: ClassVar[str]
    ending: ClassVar[str]
    runtime: ClassVar[str]
    """What plays the file, a package."""
    packages: ClassVar[tuple[str, ...]] = ()
    """Modules that the extra `export` brings."""

    @abstractmethod
    def write(self, model: Any, names: list[str], path: Path, about: dict[str, Any]) -> None:
        """Write a Keras model whose inputs are to be called `names`."""

    @abstractmethod
    def open(self, path: Path, names: list[str]) -> QValues:
        """Return what the file computes in its own runtime."""


class Onnx(Format):
    """ONNX, by way of tf2onnx. The metadata is in the model's `metadata_props`."""

    name, ending, runtime = "ONNX", ".onnx", "onnxruntime"
    packages = ("onnx", "tf2onnx", "onnxruntime")

    def write(self, model: Any, names: list[str], path: Path, about: dict[str, Any]) -> None:
        """Write; see `Format`."""
        import onnx

        with_names(model, names).export(str(path), format="onnx", verbose=False)
        network = onnx.load(str(path))
        for tensor in (*network.graph.input, *network.graph.output):
            tensor.type.tensor_type.shape.dim[0].dim_param = "batch"  # which tf2onnx calls unk__20
        onnx.helper.set_model_props(network, {ABOUT: json.dumps(about)})
        onnx.save(network, str(path))

    def open(self, path: Path, names: list[str]) -> QValues:
        """Open; see `Format`."""
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1  # those of all cores would keep each other busy
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        return lambda inputs: np.asarray(session.run([OUTPUT], inputs)[0])


class LiteRt(Format):
    """LiteRT, which was TensorFlow Lite. The metadata is in a .zip behind the network, as TensorFlow Lite's own is."""

    name, ending, runtime = "LiteRT", ".tflite", "ai_edge_litert"
    packages = ("ai_edge_litert",)

    def write(self, model: Any, names: list[str], path: Path, about: dict[str, Any]) -> None:
        """Write; see `Format`."""
        import tensorflow as tf

        with tempfile.TemporaryDirectory() as folder:  # Keras itself exports to LiteRT only since 3.13
            with_names(model, names).export(folder, format="tf_saved_model", verbose=False)
            path.write_bytes(tf.lite.TFLiteConverter.from_saved_model(folder).convert())
        _add_to_zip(path, about)

    def open(self, path: Path, names: list[str]) -> QValues:
        """Open; see `Format`."""
        from ai_edge_litert.interpreter import Interpreter

        runner = Interpreter(str(path), num_threads=1).get_signature_runner()
        return lambda inputs: np.array(runner(**inputs)[OUTPUT])  # a copy: the runner uses its memory again


class KerasFile(Format):
    """Keras's own file, a .zip; the metadata is a file in it."""

    name, ending, runtime = "Keras", ".keras", "keras"

    def write(self, model: Any, names: list[str], path: Path, about: dict[str, Any]) -> None:
        """Write; see `Format`."""
        without_own_layers(model).save(path)
        _add_to_zip(path, about)

    def open(self, path: Path, names: list[str]) -> QValues:
        """Open; see `Format`."""
        import keras

        model = keras.models.load_model(path, compile=False)

        def q_values(inputs: dict[str, np.ndarray]) -> np.ndarray:
            arrays = [inputs[name] for name in names]
            return np.asarray(model.predict_on_batch(keras.tree.pack_sequence_as(model.input, arrays)))

        return q_values


class SavedModel(Format):
    """TensorFlow's folder, which TensorFlow Serving takes. The metadata is in its `assets.extra`, made for such."""

    name, ending, runtime = "SavedModel", "", "tensorflow"

    def write(self, model: Any, names: list[str], path: Path, about: dict[str, Any]) -> None:
        """Write; see `Format`."""
        with_names(model, names).export(str(path), format="tf_saved_model", verbose=False)
        (path / "assets.extra").mkdir()
        (path / "assets.extra" / f"{ABOUT}.json").write_text(json.dumps(about))

    def open(self, path: Path, names: list[str]) -> QValues:
        """Open; see `Format`."""
        import tensorflow as tf

        loaded = tf.saved_model.load(str(path))
        serve = loaded.signatures["serving_default"]

        def q_values(inputs: dict[str, np.ndarray], _kept: Any = loaded) -> np.ndarray:  # the signature needs it alive
            return np.asarray(serve(**{name: tf.constant(array) for name, array in inputs.items()})[OUTPUT])

        return q_values


FORMATS: dict[str, Format] = {kind.ending: kind() for kind in (Onnx, LiteRt, KerasFile, SavedModel)}


def format_of(path: Path) -> Format:
    """Return the format that a name asks for; raises `UserError` if it is none, or if its packages are missing."""
    if path.suffix not in FORMATS or not path.name:
        raise UserError(
            f"{path} is of no format to export to: end its name in .onnx, .tflite or .keras, or name a folder, without "
            "a dot, for a SavedModel"
        )
    for package in FORMATS[path.suffix].packages:
        if importlib.util.find_spec(package) is None:
            raise UserError(f"{path} needs {in_words(package)}, which is not installed: {to_install('export')}")
    return FORMATS[path.suffix]


def in_words(package: str) -> str:
    """Return the name under which a package is installed."""
    return package.replace("_", "-")


def require_free(path: Path, overwrite: bool) -> None:
    """Raise `UserError` unless a file or, for a name without an ending, a folder may be written to `path`."""
    is_folder = not path.suffix
    if not path.absolute().parent.is_dir():
        raise UserError(f"cannot write {path}: there is no folder {path.parent}")
    if path.is_dir() != is_folder and path.exists():
        raise UserError(f"{path} is a {'file' if is_folder else 'folder'}; name another one")
    if is_folder and path.exists():
        content = [file.name for file in path.iterdir()]
        if content and "saved_model.pb" not in content:
            raise UserError(f"{path} is a folder with something else than a SavedModel in it; name another one")
        if not content:
            return
    if path.exists() and not overwrite:
        raise UserError(f"{path} exists; replace it with {to_type('--overwrite', 'overwrite=True')}")


@contextlib.contextmanager
def _explained(cannot: str) -> Iterator[None]:
    """Raise what goes wrong in the block as a `UserError`; keep off the screen what libraries say."""
    told: UserError | None = None
    with warnings.catch_warnings(), quiet_stderr():
        warnings.simplefilter("ignore")
        try:
            yield
        except (OSError, UserError):
            raise
        except Exception as error:
            told = UserError(f"{cannot}: {type(error).__name__}: {' '.join(str(error).split())[:300]}")
            told.__cause__ = error
    if told is not None:
        raise told


def write(kind: Format, model: Any, names: list[str], path: Path, about: dict[str, Any]) -> QValues:
    """Write a Keras model, open what was written in its own runtime, and return what that computes.

    Args:
        kind: The format.
        model: Keras model.
        names: What its inputs are to be called.
        path: File or folder to write.
        about: What the file says of the network, anything JSON can hold.

    Raises:
        UserError: The format or its runtime cannot hold the model.
        OSError: The file cannot be written.
    """
    with _explained(f"this network cannot be written as {kind.name}"), naming(path):
        kind.write(model, names, path, about)
    with _explained(f"{in_words(kind.runtime)} cannot play this network"):
        q_values = kind.open(path, names)
        zeros = [np.zeros([size or 1 for size in tensor.shape], tensor.dtype) for tensor in model.inputs]
        q_values(dict(zip(names, zeros, strict=True)))  # LiteRT announces itself when it first computes
    return q_values


def with_names(model: Any, names: list[str]) -> Any:
    """Return a model around a Keras model, with its weights, whose inputs have these names and its output `OUTPUT`."""
    import keras

    inputs = [
        keras.Input(batch_shape=tensor.shape, dtype=tensor.dtype, name=name)
        for tensor, name in zip(model.inputs, names, strict=True)
    ]
    given = keras.tree.pack_sequence_as(model.input, inputs)
    named = keras.Model(given, {OUTPUT: model(given)})
    named(given)  # Keras exports only what has been called
    return named


def without_own_layers(model: Any) -> Any:
    """Return a Keras model in which a dueling layer is made of Keras's own operations: any Keras can load it."""
    import keras

    last = model.layers[-1]
    if type(last).__module__ != "kerasrl.dqn.dueling":
        return model
    return keras.Model(model.input, last.call(last.input))


def _add_to_zip(path: Path, about: dict[str, Any]) -> None:
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(f"{ABOUT}.json", json.dumps(about))
