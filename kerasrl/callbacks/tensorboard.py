"""Curves of a training for TensorBoard: `tensorboard --logdir FOLDER` shows them.

They are written through TensorFlow's own summary API, which needs no other package; only looking at them requires
`pip install tensorboard`.
"""

import time
from pathlib import Path
from typing import Any

import numpy as np
import rl.callbacks
import tensorflow as tf

from kerasrl.errors import UserError
from kerasrl.plain import numbers_of
from kerasrl.storage.earlier import set_aside
from kerasrl.storage.files import naming

_KNOWN = {"episode_reward", "environment_reward", "nb_episode_steps", "nb_steps", "evaluation_reward"}  # of the logs
_SUFFIX = ".kerasrl"  # tells a new training which files are an earlier one's


class TensorBoardLogger(rl.callbacks.Callback):
    """Write each episode's figures, with the total number of steps as the x axis.

    They are `episode/reward` (the environment's own; `episode/processed_reward` is what a processor makes of it, if it
    makes anything), `episode/steps`, `episode/NAME` for each number in its last `info` and what callbacks put into
    the logs, `train/loss`, `train/mean_q`, `train/epsilon` and the other metrics
    (means over the episode), `speed/steps_per_second`, `evaluation/reward` where there was one, and `settings` as a
    table; what is not finite is left out. What an earlier training wrote to the folder moves to `earlier/N` in it when
    a new one begins; a resumed one adds to it: steps repeated after a kill appear twice, with the same values except
    for the speed.
    """

    is_told_last = True

    def __init__(self, folder: str, settings: dict[str, Any] | None = None) -> None:
        super().__init__()
        self.folder, self.settings = folder, settings
        self._writer: Any = None

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Open a new file.

        Raises:
            OSError: The folder cannot be written to.
            UserError: It is a test, or `earlier` is a link.
        """
        if not self.model.training:
            raise UserError("TensorBoardLogger shows a training; in test, use kerasrl.callbacks.FileLogger")
        folder = Path(self.folder)
        with naming(folder):
            folder.mkdir(parents=True, exist_ok=True)
        if self.model.step == 0:
            set_aside({folder: sorted(folder.glob(f"events.out.tfevents.*{_SUFFIX}"))}, "kerasrl_moving.json")
        names = {"mean_eps": "epsilon"}
        self._tags = [f"train/{names.get(name, name)}" for name in self.model.metrics_names]
        self._writer = tf.summary.create_file_writer(self.folder, filename_suffix=_SUFFIX)
        if self.settings:
            text = tf.compat.v1.SummaryMetadata.PluginData(plugin_name="text")
            metadata = tf.compat.v1.SummaryMetadata(plugin_data=text)
            with self._writer.as_default():
                tf.summary.write("settings", _table(self.settings), step=self.model.step, metadata=metadata)

    def on_episode_begin(self, episode: int, logs: dict[str, Any] | None = None) -> None:
        """Start the clock."""
        self._metrics: list[list[float]] = []
        self._start = time.perf_counter()

    def on_step_end(self, step: int, logs: dict[str, Any]) -> None:
        """Keep the step's metrics and time, so that an evaluation at the episode's end does not count."""
        self._metrics.append(logs["metrics"])
        self._end = time.perf_counter()

    def on_episode_end(self, episode: int, logs: dict[str, Any]) -> None:
        """Write the episode's figures."""
        seconds = self._end - self._start
        figures = {
            "episode/reward": logs.get("environment_reward", logs["episode_reward"]),
            "episode/processed_reward": logs["episode_reward"] if "environment_reward" in logs else None,
            "episode/steps": logs["nb_episode_steps"],
            "speed/steps_per_second": logs["nb_episode_steps"] / seconds,
            "evaluation/reward": logs.get("evaluation_reward"),
        }
        others = {**numbers_of(getattr(self.model, "recent_info", {})), **numbers_of(logs)}
        for name in [name for name in others if name not in _KNOWN]:
            figures.setdefault(f"episode/{name}", others[name])
        for tag, values in zip(self._tags, np.array(self._metrics).T, strict=True):
            known = values[np.isfinite(values)]
            figures[tag] = known.mean() if known.size else None
        self._write(figures, logs["nb_steps"])

    def _write(self, figures: dict[str, Any], step: int) -> None:
        # One call for all of them: each `tf.summary.scalar` would take a quarter of a millisecond.
        summary = tf.compat.v1.Summary()
        for tag, value in figures.items():
            if value is not None and np.isfinite(value):
                summary.value.add(tag=tag, simple_value=value)
        with self._writer.as_default():
            tf.summary.experimental.write_raw_pb(summary.SerializeToString(), step=step)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Write what is left and close the file."""
        if self._writer is not None:
            if logs and "evaluation_reward" in logs:
                self._write({"evaluation/reward": logs["evaluation_reward"]}, logs["nb_steps"])
            self._writer.close()
            self._writer = None


def _table(settings: dict[str, Any]) -> str:
    rows = [f"| {name} | {str(value).replace('|', chr(92) + '|')} |" for name, value in settings.items()]
    return "\n".join(["| setting | value |", "| --- | --- |", *rows])
