"""Whole models in HDF5 files under any name, as Keras 1 and 2 wrote them; Keras 3 insists on `.keras` or `.h5`.

Old scripts save and load through this while they run; migrated ones import it as `kerasrl.storage.models`.
"""

import errno
import importlib
import os
from typing import Any
from unittest.mock import patch

from kerasrl.errors import WeightsError


class MissingFileError(FileNotFoundError, WeightsError):
    """A file of weights or of a model that does not exist."""


class UnreadableFileError(OSError, WeightsError):
    """A file that does not hold weights or a model."""


def write(path: str | os.PathLike[str], model: Any, overwrite: bool = True, include_optimizer: bool = True) -> None:
    """Write a Keras model to an HDF5 file: its layers, weights and, if it is compiled, its optimizer.

    If `path` is a folder, the file is model.h5 in it. With `overwrite` a file there is replaced without asking.
    Raises OSError if it cannot be written.
    """
    legacy = importlib.import_module("keras.src.legacy.saving.legacy_h5_format")
    # While Keras 3.15 writes HDF5, it takes the optimizer out of what the model was compiled with.
    with patch.dict(getattr(getattr(model, "_compile_config", None), "config", {})):
        legacy.save_model_to_hdf5(model, _file(os.fspath(path)), overwrite, include_optimizer)


def read(
    path: str | os.PathLike[str],
    custom_objects: dict[str, Any] | None = None,
    compile: bool = True,
    safe_mode: bool = True,
) -> Any:
    """Return the Keras model in an HDF5 file of Keras 1, 2 or 3; if `path` is a folder, in model.h5 in it.

    The other arguments are those of `keras.models.load_model`. Raises OSError if the file does not exist, or does not
    hold a model.
    """
    if not os.path.exists(path):
        raise MissingFileError(errno.ENOENT, "this model's file does not exist", os.fspath(path))
    file = _file(os.fspath(path))
    if not os.path.isfile(file):
        raise UnreadableFileError(f"{path} is a folder, and TensorFlow's SavedModel cannot be trained by Keras 3")
    import h5py

    if not h5py.is_hdf5(file):
        raise UnreadableFileError(f"{file} does not hold a model: it is not HDF5")
    legacy = importlib.import_module("keras.src.legacy.saving.legacy_h5_format")
    with patch("absl.logging.warning"), h5py.File(file, "r") as opened:  # what Keras 3 says about old files
        return legacy.load_model_from_hdf5(opened, {**_losses(), **(custom_objects or {})}, compile, safe_mode)


def _file(path: str) -> str:
    """Return the file that a name stands for, which may be a folder, as TensorFlow's Keras made them."""
    return f"{path.rstrip('/')}/model.h5" if os.path.isdir(path) else path.rstrip("/")


def _losses() -> dict[str, Any]:
    """Return Keras's losses by their short names, which Keras 3 saves but does not recognise."""
    import keras

    short = {
        "mse": "mean_squared_error", "mae": "mean_absolute_error", "mape": "mean_absolute_percentage_error",
        "msle": "mean_squared_logarithmic_error", "logcosh": "log_cosh", "huber_loss": "huber",
    }  # fmt: skip
    return {name: getattr(keras.losses, today) for name, today in short.items()}
