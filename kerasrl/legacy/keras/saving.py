"""Models and weights in files as Keras 1 and 2 wrote and read them: HDF5, under any name."""

import errno
import importlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kerasrl.errors import WeightsError
from kerasrl.legacy.report import report

_NATIVE, _NATIVE_WEIGHTS = ".keras", ".weights.h5"


def make_folder_of(file: str | os.PathLike[str]) -> None:
    """Make the folder of a file to be written, unless it exists or its name still has fields to fill in.

    Scripts' repositories had those folders, and TensorFlow 2's Keras made them.
    """
    folder = Path(file).parent
    if not folder.exists() and "{" not in str(folder):
        folder.mkdir(parents=True)
        report.translated(f"folder {folder} -> made, since it was missing")


def translate() -> None:
    """Let models be saved and loaded under any name; Keras 3's own names keep their formats."""
    api: Any = importlib.import_module("keras.src.saving.saving_api")
    changed = (api.save_model, _saving(api.save_model)), (api.load_model, _loading(api.load_model))
    for module in [module for name, module in sys.modules.items() if f"{name}.".startswith("keras.")]:
        for attribute, value in list(vars(module).items()):
            for original, ours in changed:
                if value is original:
                    setattr(module, attribute, ours)
    api.save_weights, api.load_weights = _saving_weights(api.save_weights), _loading_weights(api.load_weights)

    import keras

    save_weights = keras.Model.save_weights

    def save(self: Any, filepath: Any, overwrite: bool = True, *args: Any, **kwargs: Any) -> None:
        for name in ("save_format", "options"):
            kwargs.pop(name, None)
        save_weights(self, filepath, overwrite, *args, **kwargs)

    keras.Model.save_weights = save
    keras.callbacks.ModelCheckpoint.__init__ = _checkpointing(keras.callbacks.ModelCheckpoint.__init__)


def _checkpointing(original: Callable[..., Any]) -> Callable[..., Any]:
    def initialise(self: Any, filepath: Any, *args: Any, **kwargs: Any) -> None:
        kwargs.pop("period", None)
        only_weights = kwargs.get("save_weights_only", args[3] if len(args) > 3 else False)
        ending, path = _NATIVE_WEIGHTS if only_weights else _NATIVE, os.fspath(filepath)
        original(self, path if path.endswith(ending) else path + ending, *args, **kwargs)
        self.filepath = path

    return initialise


def _saving(original: Callable[..., Any]) -> Callable[..., Any]:
    def save_model(model: Any, filepath: Any, overwrite: bool = True, zipped: Any = None, **kwargs: Any) -> None:
        path = os.fspath(filepath) if isinstance(filepath, str | os.PathLike) else filepath
        if not isinstance(path, str) or path.endswith(_NATIVE) or path.startswith("hf://") or zipped is not None:
            original(model, filepath, overwrite, zipped, **kwargs)
            return
        make_folder_of(path)
        if not path.endswith((".h5", ".hdf5")):
            report.translated(f"model.save({path!r}) -> an HDF5 file of that name")
        from kerasrl.storage import models  # here, as below, so that nothing is imported before the script does it

        models.write(path, model, overwrite, kwargs.get("include_optimizer", True))

    return save_model


def _loading(original: Callable[..., Any]) -> Callable[..., Any]:
    def load_model(filepath: Any, custom_objects: Any = None, compile: bool = True, safe_mode: bool = True) -> Any:
        path = os.fspath(filepath) if isinstance(filepath, str | os.PathLike) else filepath
        if not isinstance(path, str) or path.startswith("hf://"):
            return original(filepath, custom_objects, compile, safe_mode)
        from kerasrl.storage import models

        if path.endswith(_NATIVE) and os.path.isfile(path) and not _is_hdf5(path):
            return original(filepath, custom_objects, compile, safe_mode)
        with report.silence():
            return models.read(path, custom_objects, compile, safe_mode)

    return load_model


def _saving_weights(original: Callable[..., Any]) -> Callable[..., Any]:
    def save_weights(model: Any, filepath: Any, overwrite: bool = True, max_shard_size: Any = None, **_: Any) -> None:
        from kerasrl.storage import weights

        make_folder_of(filepath)
        path = os.fspath(filepath)
        if path.endswith(_NATIVE_WEIGHTS) or max_shard_size is not None:
            original(model, filepath, overwrite, max_shard_size)
            return
        report.translated(f"save_weights({path!r}) -> an HDF5 file of that name")
        weights.write(path, model, None)

    return save_weights


def _loading_weights(original: Callable[..., Any]) -> Callable[..., Any]:
    def load_weights(model: Any, filepath: Any, skip_mismatch: bool = False, **kwargs: Any) -> None:
        import h5py

        from kerasrl.storage import weights
        from kerasrl.storage.models import MissingFileError, UnreadableFileError

        path = os.fspath(filepath)
        if not os.path.exists(path) and not os.path.exists(path + ".index"):
            raise MissingFileError(errno.ENOENT, "there is no such weights file", path)
        if kwargs.get("by_name") and os.path.isfile(path) and h5py.is_hdf5(path):
            legacy = importlib.import_module("keras.src.legacy.saving.legacy_h5_format")
            with h5py.File(path, "r") as file:
                group = file.get("model_weights", file)
                legacy.load_weights_from_hdf5_group_by_name(group, model, skip_mismatch)
            return
        if path.endswith((_NATIVE, _NATIVE_WEIGHTS)) and not _is_old(path):
            original(model, filepath, skip_mismatch, **kwargs)
            return
        try:
            found = weights.read(path)
        except WeightsError as error:
            raise UnreadableFileError(str(error)) from None
        weights.assign(model, found)

    return load_weights


def _is_hdf5(path: str) -> bool:
    import h5py

    return bool(h5py.is_hdf5(path))


def _is_old(path: str) -> bool:
    """Return whether a file holds weights as Keras 1 and 2 laid them out."""
    import h5py

    if not h5py.is_hdf5(path):
        return False
    with h5py.File(path, "r") as file:
        return "layer_names" in file.attrs or "model_weights" in file
