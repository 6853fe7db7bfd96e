"""Whole models in HDF5 files under any name, as Keras 1 and 2 wrote them; Keras 3 wants `.keras`, or `.h5`."""

import contextlib
import errno
import importlib
import logging
import os
from collections.abc import Iterator
from typing import Any

from kerasrl.errors import WeightsError


class MissingFileError(FileNotFoundError, WeightsError):
    """A file of weights or of a model that does not exist."""


class UnreadableFileError(OSError, WeightsError):
    """A file that holds no weights or model."""


def write(path: str | os.PathLike[str], model: Any, overwrite: bool = True, include_optimizer: bool = True) -> None:
    """Write a Keras model to an HDF5 file: its layers, weights and, if it is compiled, its optimizer.

    Args:
        path: The file; for a folder, model.h5 in it.
        model: The model.
        overwrite: Whether to replace a file without asking.
        include_optimizer: Whether to write the optimizer.

    Raises:
        OSError: The file cannot be written.
    """
    legacy = importlib.import_module("keras.src.legacy.saving.legacy_h5_format")
    with _unchanged(model):
        legacy.save_model_to_hdf5(model, _file(os.fspath(path)), overwrite, include_optimizer)


def read(
    path: str | os.PathLike[str],
    custom_objects: dict[str, Any] | None = None,
    compile: bool = True,
    safe_mode: bool = True,
) -> Any:
    """Return the Keras model in an HDF5 file of Keras 1, 2 or 3.

    Args:
        path: The file; for a folder, model.h5 in it.
        custom_objects: Classes and functions that the model uses, by their names.
        compile: Whether to compile it as it was.
        safe_mode: Whether to refuse code in the file.

    Raises:
        OSError: There is no such file, or no model in it.
    """
    if not os.path.exists(path):
        raise MissingFileError(errno.ENOENT, "there is no such file of a model", os.fspath(path))
    file = _file(os.fspath(path))
    if not os.path.isfile(file):
        raise UnreadableFileError(f"{path} is a folder, and TensorFlow's SavedModel cannot be trained by Keras 3")
    import h5py

    if not h5py.is_hdf5(file):
        raise UnreadableFileError(f"{file} holds no model: it is not HDF5")
    legacy = importlib.import_module("keras.src.legacy.saving.legacy_h5_format")
    with _without_warnings(), h5py.File(file, "r") as opened:
        return legacy.load_model_from_hdf5(opened, {**_losses(), **(custom_objects or {})}, compile, safe_mode)


def _file(path: str) -> str:
    """Return the file for a name that may be a folder's, as TensorFlow's Keras made them."""
    return f"{path.rstrip('/')}/model.h5" if os.path.isdir(path) else path.rstrip("/")


@contextlib.contextmanager
def _unchanged(model: Any) -> Iterator[None]:
    """Keep a model's optimizer in what it was compiled with: Keras 3.15 takes it out while it writes HDF5."""
    config = getattr(getattr(model, "_compile_config", None), "config", {})
    before = dict(config)
    try:
        yield
    finally:
        config.update(before)


@contextlib.contextmanager
def _without_warnings() -> Iterator[None]:
    """Keep off the screen what Keras 3 has to say about old files."""
    logger = logging.getLogger("absl")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


def _losses() -> dict[str, Any]:
    """Return Keras's losses under the short names, which Keras 3 saves but does not find again."""
    import keras

    short = {
        "mse": "mean_squared_error", "mae": "mean_absolute_error", "mape": "mean_absolute_percentage_error",
        "msle": "mean_squared_logarithmic_error", "logcosh": "log_cosh", "huber_loss": "huber",
    }  # fmt: skip
    return {name: getattr(keras.losses, today) for name, today in short.items()}
