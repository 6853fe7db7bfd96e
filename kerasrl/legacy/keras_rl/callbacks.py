"""Keras's callbacks that old scripts give to `fit`, where the agent is not the Keras model that they expect."""

from collections.abc import Sequence
from typing import Any

import rl.callbacks

from kerasrl import callbacks as ours
from kerasrl.legacy.keras.saving import make_folder_of
from kerasrl.legacy.report import report


class FileLogger(ours.FileLogger):
    """This project's FileLogger; keras-rl 0.1 called interval=1 `save_continiously`."""

    def __init__(self, filepath: str, interval: int | None = None, save_continiously: bool = False) -> None:
        if save_continiously:
            report.translated("FileLogger(save_continiously=True) -> interval=1")
        super().__init__(filepath, 1 if save_continiously else interval)


def translated(callbacks: Sequence[Any] | None) -> list[Any] | None:
    """Return callbacks that do for an agent what a script's callbacks do for a model."""
    given = [callbacks] if not isinstance(callbacks, list | tuple) else callbacks
    return [_translated(callback) for callback in given] if callbacks is not None else None


def _translated(callback: Any) -> Any:
    if isinstance(getattr(callback, "filepath", None), str):
        make_folder_of(callback.filepath)
    name = type(callback).__name__ if type(callback).__module__.startswith("keras.") else ""
    if name == "TensorBoard":
        report.translated("TensorBoard -> kerasrl.callbacks.TensorBoardLogger")
        return ours.TensorBoardLogger(str(callback.log_dir))
    if name == "ModelCheckpoint":
        what = "weights" if callback.save_weights_only else "model"
        report.translated(f"ModelCheckpoint -> the agent's {what}, saved after each episode")
        return _SavedModel(callback)
    if name in ("ProgbarLogger", "TerminateOnNaN"):
        report.translated(f"{name} -> left out: fit does that itself")
        return rl.callbacks.Callback()
    return callback


class _SavedModel(rl.callbacks.Callback):
    """Save the agent's model or weights after episodes, as Keras's ModelCheckpoint does after epochs.

    With save_best_only, after those with the best `monitor`, or episode_reward if the agent does not log `monitor`.
    """

    def __init__(self, checkpoint: Any) -> None:
        super().__init__()
        self.checkpoint = checkpoint
        self.best = -float("inf")

    def on_episode_end(self, episode: int, logs: dict[str, Any]) -> None:
        checkpoint = self.checkpoint
        value = logs.get(checkpoint.monitor, logs["episode_reward"])
        if checkpoint.save_best_only and value <= self.best:
            return
        self.best = max(self.best, value)
        name = str(checkpoint.filepath)
        try:
            name = name.format(epoch=episode + 1, **logs)
        except KeyError:
            name = name.partition("{")[0] + str(episode + 1)
        if checkpoint.save_weights_only:
            self.model.save_weights(name, overwrite=True)
        else:
            self.model.model.save(name)
