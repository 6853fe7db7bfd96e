"""Writing a network in another program's format, and reading it there. TensorFlow is imported only when needed."""

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
from kerasrl.errors import UserError, one_line
from kerasrl.phrases import to_give, to_install
from kerasrl.storage.appearing import put_back
from kerasrl.storage.files import naming, require_writable

# From the arrays of a model's inputs, by name, to what it puts out [B, num_actions].
Outputs = Callable[[dict[str, np.ndarray]], np.ndarray]
ABOUT = "kerasrl"  # name of the metadata in a file


class Format(ABC):
    """A kind of file; `about` is what the file says about the network, anything that JSON can hold."""

    name: ClassVar[str]
    ending: ClassVar[str]
    runtime: ClassVar[str]
    """The package that plays the file."""
    packages: ClassVar[tuple[str, ...]] = ()
    """Modules that the extra `export` brings."""
    takes_any_name: ClassVar[bool] = False
    """Whether inputs may have names of any characters."""

    @abstractmethod
    def write(self, model: Any, names: list[str], path: Path, about: dict[str, Any]) -> None:
        """Write a Keras model, with its inputs renamed to `names`."""

    @abstractmethod
    def open(self, path: Path, names: list[str], output: str) -> Outputs:
        """Return the function that the file computes in its own runtime; `output` is the name of what it returns."""


class Onnx(Format):
    """ONNX, through tf2onnx. The metadata is in the model's `metadata_props`."""

    name, ending, runtime = "ONNX", ".onnx", "onnxruntime"
    packages = ("onnx", "tf2onnx", "onnxruntime")

    def write(self, model: Any, names: list[str], path: Path, about: dict[str, Any]) -> None:
        """Write; see `Format`."""
        import onnx

        with_names(model, names, output_of(about)).export(str(path), format="onnx", verbose=False)
        network = onnx.load(str(path))
        for tensor in (*network.graph.input, *network.graph.output):
            tensor.type.tensor_type.shape.dim[0].dim_param = "batch"  # which tf2onnx calls unk__20
        onnx.helper.set_model_props(network, {ABOUT: json.dumps(about)})
        onnx.save(network, str(path))

    def open(self, path: Path, names: list[str], output: str) -> Outputs:
        """Open; see `Format`."""
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1  # more would get in each other's way
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        return lambda inputs: np.asarray(session.run([output], inputs)[0])


class LiteRt(Format):
    """LiteRT, formerly TensorFlow Lite. The metadata is in a .zip after the network, like TensorFlow Lite's own."""

    name, ending, runtime = "LiteRT", ".tflite", "ai_edge_litert"
    packages = ("ai_edge_litert",)

    def write(self, model: Any, names: list[str], path: Path, about: dict[str, Any]) -> None:
        """Write; see `Format`."""
        import tensorflow as tf

        with tempfile.TemporaryDirectory(dir=path.parent) as folder:  # Keras itself exports to LiteRT only from 3.13
            with_names(model, names, output_of(about)).export(folder, format="tf_saved_model", verbose=False)
            path.write_bytes(tf.lite.TFLiteConverter.from_saved_model(folder).convert())
        _add_to_zip(path, about)

    def open(self, path: Path, names: list[str], output: str) -> Outputs:
        """Open; see `Format`."""
        from ai_edge_litert.interpreter import Interpreter

        runner = Interpreter(str(path), num_threads=1).get_signature_runner()
        return lambda inputs: np.array(runner(**inputs)[output])  # a copy: the runner reuses its memory


class KerasFile(Format):
    """Keras's own file, a .zip; the metadata is a file in it."""

    name, ending, runtime = "Keras", ".keras", "keras"
    takes_any_name = True  # it keeps the model's

    def write(self, model: Any, names: list[str], path: Path, about: dict[str, Any]) -> None:
        """Write; see `Format`."""
        without_own_layers(model).save(path)
        _add_to_zip(path, about)

    def open(self, path: Path, names: list[str], output: str) -> Outputs:
        """Open; see `Format`."""
        import keras

        model = keras.models.load_model(path, compile=False)

        def outputs(inputs: dict[str, np.ndarray]) -> np.ndarray:
            arrays = [inputs[name] for name in names]
            return np.asarray(model.predict_on_batch(keras.tree.pack_sequence_as(model.input, arrays)))

        return outputs


class SavedModel(Format):
    """TensorFlow's folder, for TensorFlow Serving. The metadata is in `assets.extra`, which is meant for such."""

    name, ending, runtime = "SavedModel", "", "tensorflow"

    def write(self, model: Any, names: list[str], path: Path, about: dict[str, Any]) -> None:
        """Write; see `Format`."""
        with_names(model, names, output_of(about)).export(str(path), format="tf_saved_model", verbose=False)
        (path / "assets.extra").mkdir()
        (path / "assets.extra" / f"{ABOUT}.json").write_text(json.dumps(about))

    def open(self, path: Path, names: list[str], output: str) -> Outputs:
        """Open; see `Format`."""
        import tensorflow as tf

        loaded = tf.saved_model.load(str(path))
        serve = loaded.signatures["serving_default"]

        def outputs(inputs: dict[str, np.ndarray], _kept: Any = loaded) -> np.ndarray:  # the signature needs it alive
            return np.asarray(serve(**{name: tf.constant(array) for name, array in inputs.items()})[output])

        return outputs


FORMATS: dict[str, Format] = {kind.ending: kind() for kind in (Onnx, LiteRt, KerasFile, SavedModel)}


def format_of(path: Path) -> Format:
    """Return the format for a file's name; raises `UserError` if there is none, or if its packages are missing."""
    if path.suffix not in FORMATS or not path.name:
        raise UserError(
            f"{path} has no known export format: end its name in .onnx, .tflite or .keras, or name a folder, "
            "without a dot, for a SavedModel"
        )
    for package in FORMATS[path.suffix].packages:
        if importlib.util.find_spec(package) is None:
            raise UserError(f"{path} needs {installed_as(package)}, which is not installed: {to_install('export')}")
    return FORMATS[path.suffix]


def installed_as(package: str) -> str:
    """Return the name under which a package is installed."""
    return package.replace("_", "-")


def require_free(path: Path, overwrite: bool) -> None:
    """Raise `UserError` unless a file or, for a name without an extension, a folder may be written to `path`."""
    is_folder = not path.suffix
    require_writable(path.parent)
    put_back(path)
    if path.is_dir() != is_folder and path.exists():
        raise UserError(f"{path} is a {'file' if is_folder else 'folder'}; name another one")
    if is_folder and path.exists():
        content = [file.name for file in path.iterdir()]
        if content and "saved_model.pb" not in content:
            raise UserError(f"{path} contains something other than a SavedModel; name another folder")
        if not content:
            return
    if path.exists() and not overwrite:
        raise UserError(f"{path} exists; replace it with {to_give(overwrite=True)}")


@contextlib.contextmanager
def _explained(cannot: str) -> Iterator[None]:
    """Raise what goes wrong in the block as a `UserError`, and silence libraries meanwhile."""
    told: UserError | None = None
    with warnings.catch_warnings(), quiet_stderr():
        warnings.simplefilter("ignore")
        try:
            yield
        except (OSError, UserError):
            raise
        except Exception as error:
            told = UserError(f"{cannot}: {type(error).__name__}: {one_line(error)[:300]}")
            told.__cause__ = error
    if told is not None:
        raise told


def write(kind: Format, model: Any, names: list[str], path: Path, about: dict[str, Any]) -> Outputs:
    """Write a Keras model as `Format.write`, open it in its own runtime, and return what it computes there.

    Raises:
        UserError: The format or its runtime cannot hold the model.
        OSError: The file cannot be written.
    """
    with _explained(f"this network cannot be written as {kind.name}"), naming(path):
        kind.write(model, names, path, about)
    with _explained(f"{installed_as(kind.runtime)} cannot play this network"):
        outputs = kind.open(path, names, output_of(about))
        zeros = [np.zeros([size or 1 for size in tensor.shape], tensor.dtype) for tensor in model.inputs]
        outputs(dict(zip(names, zeros, strict=True)))  # LiteRT announces itself at its first computation
    return outputs


def output_of(about: dict[str, Any]) -> str:
    """Return the name of the network's output, according to what its file says about it."""
    return str(about["outputs"][0]["name"])


def with_names(model: Any, names: list[str], output: str) -> Any:
    """Wrap a Keras model so that its inputs have these names and its output the name `output`."""
    import keras

    inputs = [
        keras.Input(batch_shape=tensor.shape, dtype=tensor.dtype, name=name)
        for tensor, name in zip(model.inputs, names, strict=True)
    ]
    given = keras.tree.pack_sequence_as(model.input, inputs)
    named = keras.Model(given, {output: model(given)})
    named(given)  # Keras exports only models that have been called
    return named


def without_own_layers(model: Any) -> Any:
    """Return a Keras model with a dueling layer replaced by Keras's own operations, so that any Keras can load it."""
    import keras

    last = model.layers[-1]
    if type(last).__module__ != "kerasrl.agents.dqn.dueling":
        return model
    return keras.Model(model.input, last.call(last.input))


def _add_to_zip(path: Path, about: dict[str, Any]) -> None:
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(f"{ABOUT}.json", json.dumps(about))
