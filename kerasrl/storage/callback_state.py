"""The attributes of callbacks that have no `get_state` and `set_state`, in training states."""

import csv
import functools
import inspect
import io
import logging
import pathlib
import threading
import types
import warnings
from collections.abc import Collection
from typing import Any

import numpy as np

from kerasrl.errors import Note, UserError
from kerasrl.storage.encoding import CannotBeKept
from kerasrl.storage.object_state import ObjectEncoder, attributes, real

# What every callback is given anew, and what the libraries' callbacks make anew: clocks, displays, open files.
_LIBRARIES = ("keras", "rl", "kerasrl")
_GIVEN = {"model", "_model", "params", "env", "validation_data"}
_MADE_ANEW = {
    "MonitorCallback": {"monitor_op", "min_delta"},  # Keras changes the sign of min_delta when it determines monitor_op
    "CSVLogger": {"csv_file", "writer", "keys", "append_header"},
    "TrainEpisodeLogger": {"train_start", "episode_start"},
    "TrainIntervalLogger": {"train_start", "interval_start", "progbar"},
    "FileLogger": {"starts"},
    "TensorBoardLogger": {"_writer", "_tags", "_metrics", "_start", "_end"},
    "TrainProgress": {"_line", "_start", "_mark", "_marked", "_first"},
    "Film": {"_video"},
}
_NO_STATE = (
    *(functools.partial, np.ufunc, np.dtype, type, types.ModuleType, pathlib.PurePath),
    *(io.IOBase, logging.Logger, logging.LoggerAdapter, threading.Thread),
    *(type(threading.Lock()), type(threading.RLock())),
    *(csv.DictWriter, type(csv.writer(io.StringIO()))),
)
# The same, of libraries that may be missing, or that would take seconds to import.
_NO_STATE_BY_NAME = {"LearningRateSchedule", "SummaryWriter"}


class KeptAttributes:
    """What callbacks have changed in their attributes since the training began.

    Attributes that are still as they were are not kept, so that a resume may choose them anew, such as a threshold.
    Functions, classes, open files, environments and other parts of the training do not belong to a callback's state.
    A `Note` names any other attribute that cannot be kept: only an exact resume would need it.

    Args:
        callbacks: The callbacks, at the beginning of a training; those with a state of their own are left out.
        parts: Agent, environment and whatever else does not belong to the callbacks.

    Attributes:
        places: The places of objects; see `ObjectEncoder`.
    """

    def __init__(self, callbacks: list[Any], parts: list[Any]) -> None:
        self._parts = {id(part) for part in [*parts, *callbacks] if part is not None}
        self._callbacks: dict[str, Any] = {}
        self.places: set[str] = set()
        self._warned: set[str] = set()
        for callback in callbacks:
            if not has_state(callback):
                name = type(callback).__qualname__
                number = sum(type(other) is type(callback) for other in self._callbacks.values())
                self._callbacks[f"{name} {number}"] = callback
        self._first = {key: self._written(key, None) for key in self._callbacks}

    def _written(self, key: str, known: set[str] | None) -> dict[str, bytes]:
        """Return the attributes of a callback as bytes, by name."""
        callback, written = self._callbacks[key], {}
        names = [base.__name__ for base in type(callback).__mro__ if base.__module__.split(".")[0] in _LIBRARIES]
        left_out = _GIVEN.union(*(_MADE_ANEW.get(name, set()) for name in names))
        for name, value in attributes(callback).items():
            if name in left_out or is_no_state(value, self._parts):
                continue
            encoder = ObjectEncoder(known=known)
            encoder.path = ["['kept']", f"[{key!r}]", f"[{name!r}]"]
            try:
                written[name] = encoder.encode(value)
                self.places |= encoder.places
            except (CannotBeKept, UserError):
                what = f"callback {type(callback).__name__}.{name}"
                if what not in self._warned:
                    self._warned.add(what)
                    warnings.warn(
                        f"{what} cannot be saved ({type(value).__name__}): a resume will not bring it back; for an "
                        "exact one, give the class get_state and set_state",
                        Note,
                        stacklevel=2,
                    )
        return written

    def get(self) -> dict[str, dict[str, Any]]:
        """Return the attributes that have changed, by callback."""
        found = {}
        for key, first in self._first.items():
            written = self._written(key, self.places)
            values = attributes(self._callbacks[key])
            changed = {name: values[name] for name, content in written.items() if content != first.get(name)}
            if changed:
                found[key] = changed
        return found

    def put_back(self, saved: dict[str, dict[str, Any]]) -> None:
        """Give the attributes that `get` returned to those callbacks that are there."""
        for key, values in saved.items():
            callback = self._callbacks.get(key)
            for name, value in values.items() if callback is not None else ():
                setattr(callback, name, real(value, getattr(callback, name, None)))


def is_no_state(value: Any, parts: Collection[int] = ()) -> bool:
    """Return whether a value is none that changes: a function, a class, an open file, settings, or one of `parts`.

    Environments are none either, nor what holds nothing else. `parts` are ids.
    """
    if isinstance(value, list | tuple | set | dict) and value:
        return all(is_no_state(item, parts) for item in (value.values() if isinstance(value, dict) else value))
    is_environment = hasattr(value, "reset") and hasattr(value, "step")
    is_settings = getattr(getattr(type(value), "__dataclass_params__", None), "frozen", False)
    return (
        id(value) in parts
        or inspect.isroutine(value)
        or isinstance(value, _NO_STATE)
        or any(base.__name__ in _NO_STATE_BY_NAME for base in type(value).__mro__)
        or is_environment
        or is_settings
    )


def has_state(callback: Any) -> bool:
    """Return whether a callback defines its own state."""
    return hasattr(callback, "get_state") and hasattr(callback, "set_state")
