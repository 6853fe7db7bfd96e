"""Keras-RL's list of callbacks, which are told what happens in a training, and which of Keras's may be in it."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import rl.callbacks

from kerasrl.errors import UserError, require_keras_3
from kerasrl.plain import plain
from kerasrl.storage.files import require_place


def _announcement(event: str) -> Any:
    """Return the method that tells the listeners of an event which step or action it is about."""

    def announce(self: "Callbacks", step_or_action: Any, logs: dict[str, Any] | None = None) -> None:
        for listener in self.listeners[event]:
            listener(step_or_action, logs={} if logs is None else logs)

    return announce


class Callbacks(rl.callbacks.CallbackList):
    """Keras-RL's list of callbacks, except that it finds out once who listens to steps and actions.

    Keras-RL asks at every step, which costs 8 microseconds.
    """

    on_step_begin, on_step_end = _announcement("on_step_begin"), _announcement("on_step_end")
    on_action_begin, on_action_end = _announcement("on_action_begin"), _announcement("on_action_end")

    def __init__(self, callbacks: Sequence[Any]) -> None:
        super().__init__(callbacks)
        self._listen()

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Announce the beginning, in which a callback may also be given methods."""
        super().on_train_begin(logs)
        self._listen()

    def _listen(self) -> None:
        self.listeners = {
            event: [listener for callback in self.callbacks if (listener := _listener(callback, event, *fallbacks))]
            for event, *fallbacks in (
                ("on_step_begin", "on_train_batch_begin", "on_batch_begin"),
                ("on_step_end", "on_train_batch_end", "on_batch_end"),
                ("on_action_begin",),
                ("on_action_end",),
            )
        }

    def on_episode_begin(self, episode: int, logs: dict[str, Any] | None = None) -> None:
        """Announce that an episode begins, to Keras's callbacks as an epoch."""
        self._announce("begin", episode, {} if logs is None else logs)

    def on_episode_end(self, episode: int, logs: dict[str, Any] | None = None) -> None:
        """Announce what happened in an episode, to Keras's callbacks as in an epoch.

        Those that write the logs to a file (`is_told_last`) hear of it last: they have what the others put into them.
        """
        self._announce("end", episode, {} if logs is None else logs)

    def _announce(self, moment: str, episode: int, logs: dict[str, Any]) -> None:
        for callback in sorted(self.callbacks, key=lambda callback: getattr(callback, "is_told_last", False)):
            if hasattr(callback, f"on_episode_{moment}"):
                getattr(callback, f"on_episode_{moment}")(episode, logs=logs)
            else:  # by position, as Keras does: the parameters of a LambdaCallback's function may have any names
                getattr(callback, f"on_epoch_{moment}")(episode, logs)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Tell every callback that the run is over, even if one fails; then raise the first failure."""
        failures = []
        for callback in self.callbacks:
            try:
                callback.on_train_end({} if logs is None else logs)
            except Exception as failure:
                failures.append(failure)
        if failures:
            raise failures[0]


class History(keras.callbacks.History):
    """Keras's record of the episodes, of values that JSON can hold."""

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Add an episode."""
        super().on_epoch_end(epoch, {name: plain(value) for name, value in (logs or {}).items()})

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Give the last episode the evaluation that followed the last step, if any."""
        rewards = self.history.get("evaluation_reward")
        if rewards and math.isnan(rewards[-1]):
            rewards[-1] = (logs or {}).get("evaluation_reward", rewards[-1])


def _listener(callback: Any, event: str, *fallbacks: str) -> Any:
    """Return the callback's method for an event, or None if it inherits one that does nothing.

    A callback of Keras, which has no method of the event's name, is asked for the fallbacks, Keras's names.
    """
    if hasattr(callback, event):
        return _overridden(callback, event, rl.callbacks.Callback)
    methods = (_overridden(callback, name, keras.callbacks.Callback) for name in fallbacks)
    found = next((method for method in methods if method is not None), None)
    return found and (lambda batch, logs: found(batch, logs))  # by position, as Keras does


def _overridden(callback: Any, name: str, base: type) -> Any:
    method = getattr(callback, name)
    return None if getattr(method, "__func__", None) is getattr(base, name, object()) else method


# Callbacks that write a file -> the method that does so.
_WRITERS = {"FileLogger": "save_data", "ModelIntervalCheckpoint": "on_step_end", "Evaluation": "_keep", "CSVLogger": ""}


def _require_place(callback: Any) -> None:
    """Raise `UserError` if a callback could not write its file in the end, unless its author may make the folder."""
    writing = next((_WRITERS[base.__name__] for base in type(callback).__mro__ if base.__name__ in _WRITERS), None)
    if writing is None or not all(_is_of_a_library(callback, name) for name in ("on_train_begin", writing) if name):
        return
    path = Path(callback.filename if isinstance(callback, keras.callbacks.CSVLogger) else callback.filepath)
    if isinstance(callback, rl.callbacks.ModelIntervalCheckpoint):
        try:
            path = Path(str(path.parent).format(), path.name)
        except (LookupError, ValueError):  # a folder named after the step, which may be made later
            return
    require_place(path)


def _is_of_a_library(callback: Any, method: str) -> bool:
    return getattr(callback, method).__module__.split(".")[0] in ("keras", "rl", "kerasrl")


# Callbacks of Keras that need a Keras model, or would never do anything -> what to do instead.
_INSTEAD = {
    "BackupAndRestore": "use fit(state=kerasrl.storage.TrainingState(...)) and resume=True",
    "OrbaxCheckpoint": "use kerasrl.callbacks.ModelIntervalCheckpoint",
    "ProgbarLogger": "use fit(verbose=1)",
    "SwapEMAWeights": "leave it out: the target network is this agent's moving average",
    "TensorBoard": "use kerasrl.callbacks.TensorBoardLogger",
    "TerminateOnNaN": "leave it out: fit raises a DivergenceError when the loss is not a finite number",
}


def checked(callbacks: Sequence[Any] | None, argument: str = "callbacks") -> list[Any]:
    """Return a user's callbacks, given as `argument`, as a list; raise `UserError` if one of them cannot work."""
    if callbacks is not None and not isinstance(callbacks, Sequence):
        raise UserError(f"{argument} must be a list, not a {type(callbacks).__name__}")
    for callback in callbacks or []:
        if isinstance(callback, type):
            raise UserError(
                f"{argument} has the class {callback.__name__}; pass an object of it: {callback.__name__}()"
            )
        require_keras_3(callback, f"callback {type(callback).__name__}")
        if not isinstance(callback, keras.callbacks.Callback):
            raise UserError(f"{callback!r} is not a callback; make it a method of a subclass of rl.callbacks.Callback")
        names = [base.__name__ for base in type(callback).__mro__ if base.__module__.startswith("keras.")]
        instead = next((_INSTEAD[name] for name in names if name in _INSTEAD), None)
        if "ModelCheckpoint" in names and not callback.save_weights_only:
            instead = "give it save_weights_only=True, or use kerasrl.callbacks.ModelIntervalCheckpoint"
        if "EarlyStopping" in names and callback.restore_best_weights:
            instead = "leave out restore_best_weights; keras.callbacks.ModelCheckpoint can save the best"
        if instead:
            raise UserError(f"Keras's {names[0]} does not work with an agent: {instead}")
        _require_place(callback)
    return list(callbacks or [])
