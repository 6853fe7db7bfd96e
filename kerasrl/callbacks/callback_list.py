"""Who is told what happens in a training: Keras-RL's list of callbacks, and which of Keras's callbacks may be in it."""

from collections.abc import Sequence
from typing import Any

import keras
import rl.callbacks

from kerasrl.errors import UserError


class Callbacks(rl.callbacks.CallbackList):
    """Keras-RL's list of callbacks, which asks once, not at every step, which callbacks listen to steps and actions.

    Asking at every step costs 8 microseconds.
    """

    def __init__(self, callbacks: Sequence[Any]) -> None:
        super().__init__(callbacks)
        self._listeners = {
            event: [listener for callback in callbacks if (listener := _listener(callback, event, *fallbacks))]
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
        """Announce what happened in an episode, to Keras's callbacks as in an epoch."""
        self._announce("end", episode, {} if logs is None else logs)

    def _announce(self, moment: str, episode: int, logs: dict[str, Any]) -> None:
        for callback in self.callbacks:
            if hasattr(callback, f"on_episode_{moment}"):
                getattr(callback, f"on_episode_{moment}")(episode, logs=logs)
            else:  # by position, as Keras does: a function in a LambdaCallback may have any names
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

    def on_step_begin(self, step: int, logs: dict[str, Any] | None = None) -> None:
        """Announce that a step begins."""
        for listener in self._listeners["on_step_begin"]:
            listener(step, logs={} if logs is None else logs)

    def on_step_end(self, step: int, logs: dict[str, Any] | None = None) -> None:
        """Announce what happened in a step."""
        for listener in self._listeners["on_step_end"]:
            listener(step, logs={} if logs is None else logs)

    def on_action_begin(self, action: Any, logs: dict[str, Any] | None = None) -> None:
        """Announce that an action will be taken."""
        for listener in self._listeners["on_action_begin"]:
            listener(action, logs={} if logs is None else logs)

    def on_action_end(self, action: Any, logs: dict[str, Any] | None = None) -> None:
        """Announce that an action was taken."""
        for listener in self._listeners["on_action_end"]:
            listener(action, logs={} if logs is None else logs)


def _listener(callback: Any, event: str, *fallbacks: str) -> Any:
    """Return the callback's method for an event, or None if it inherits one that does nothing.

    The fallbacks are Keras's names, for callbacks that are Keras's and not Keras-RL's.
    """
    if hasattr(callback, event):
        return _overridden(callback, event, rl.callbacks.Callback)
    methods = (_overridden(callback, name, keras.callbacks.Callback) for name in fallbacks)
    found = next((method for method in methods if method is not None), None)
    return found and (lambda batch, logs: found(batch, logs))  # by position, as Keras does


def _overridden(callback: Any, name: str, base: type) -> Any:
    method = getattr(callback, name)
    return None if getattr(method, "__func__", None) is getattr(base, name, object()) else method


# Callbacks of Keras that need what only a Keras model has, or would never do anything -> what to do instead.
_INSTEAD = {
    "BackupAndRestore": "use fit(state=kerasrl.storage.TrainingState(...)) and resume=True",
    "OrbaxCheckpoint": "use kerasrl.callbacks.ModelIntervalCheckpoint",
    "ProgbarLogger": "use fit(verbose=1)",
    "SwapEMAWeights": "leave it out: the target network is this agent's moving average",
    "TensorBoard": "use kerasrl.callbacks.TensorBoardLogger",
    "TerminateOnNaN": "leave it out: fit raises a DivergenceError when the loss is not a finite number",
}


def checked(callbacks: Sequence[Any] | None) -> list[Any]:
    """Return a user's callbacks as a list.

    Raises:
        UserError: One of them cannot work.
    """
    if callbacks is not None and not isinstance(callbacks, Sequence):
        raise UserError(f"callbacks must be a list, not a {type(callbacks).__name__}")
    for callback in callbacks or []:
        if isinstance(callback, type):
            raise UserError(f"callbacks has the class {callback.__name__}; pass an object of it: {callback.__name__}()")
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
    return list(callbacks or [])
