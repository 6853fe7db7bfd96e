"""Keras-RL's FileLogger and ModelIntervalCheckpoint, safe against interruption.

Where an exact resume needs a callback's counters, it has `get_state` and `set_state`: see `TrainingState`.
"""

import json
import math
import timeit
import warnings
from typing import Any

import numpy as np
import rl.callbacks

from kerasrl.plain import numbers_of, plain
from kerasrl.storage.earlier import run_of
from kerasrl.storage.files import write_whole


class FileLogger(rl.callbacks.FileLogger):
    """Log each episode in a JSON file: a dictionary of equally long lists, as Keras-RL writes it.

    What differs: the file is strict JSON (null where Keras-RL writes NaN) and appears whole. A list `run` repeats the
    id of the run, if the agent's metadata have one. The file is written every
    `interval` episodes at first (only at the end if that is None) and, once it is long, whenever it has grown by a
    tenth, so that an episode costs the same however long the run is; Keras-RL rewrites all of it each time. In `test`,
    where Keras-RL's fails, what only a training has is null. The numbers in an episode's last `info`, such as
    `is_success`, have lists, too, and so has whatever other callbacks put into an episode's logs.
    """

    is_told_last = True
    _run = ""  # the id of the run, if the agent's metadata have one

    def __init__(self, filepath: str, interval: int | None = None) -> None:
        super().__init__(filepath, interval)
        self.nb_written = 0

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Get the metrics' names, and drop what an earlier run left unfinished."""
        self.metrics_names = self.model.metrics_names
        self._run = run_of(self.model)
        self._no_metrics = [math.nan] * len(self.metrics_names)
        self.metrics.clear()
        self.starts.clear()

    def on_step_end(self, step: int, logs: dict[str, Any]) -> None:
        """Keep the step's metrics; a test has none."""
        self.metrics[logs["episode"]].append(logs.get("metrics", self._no_metrics))

    def on_episode_end(self, episode: int, logs: dict[str, Any] | None = None) -> None:
        """Add the episode's means and write the file when it is due."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # no step of the episode was trained on
            means = np.nanmean(self.metrics.pop(episode), axis=0)
        values = {**dict(zip(self.metrics_names, means, strict=True)), **(logs or {}), "episode": episode}
        values["duration"] = timeit.default_timer() - self.starts.pop(episode)
        for name, value in numbers_of(getattr(self.model, "recent_info", {})).items():
            values.setdefault(name, value)
        nb_before = len(self.data.get("episode", []))
        for key in {**self.data, **values}:  # of what a callback logs now and then, the other episodes have no value
            self.data.setdefault(key, [math.nan] * nb_before).append(plain(values.get(key, math.nan)))
        nb_new = len(self.data["episode"]) - self.nb_written
        if self.interval is not None and nb_new >= max(self.interval, self.nb_written // 10):
            self.save_data()

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Write the file; the last episode's row gets the evaluation that followed the last step, if any."""
        rewards = self.data.get("evaluation_reward")
        if rewards and math.isnan(rewards[-1]):
            rewards[-1] = (logs or {}).get("evaluation_reward", rewards[-1])
        self.save_data()

    def save_data(self) -> None:
        """Write the file."""
        if self.data:
            strict = {key: [_strict(value) for value in values] for key, values in self.data.items()}
            if self._run:
                strict["run"] = [self._run] * len(self.data["episode"])
            write_whole(self.filepath, json.dumps(strict, allow_nan=False, default=str).encode())
            self.nb_written = len(self.data["episode"])

    def get_state(self) -> dict[str, Any]:
        """Return the log so far."""
        return {"data": {key: list(values) for key, values in self.data.items()}}

    def set_state(self, state: dict[str, Any]) -> None:
        """Continue the log that `get_state` returned."""
        self.data = {key: np.asarray(values, object).tolist() for key, values in state["data"].items()}


def _strict(value: Any) -> Any:
    if isinstance(value, list):
        return [_strict(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


class ModelIntervalCheckpoint(rl.callbacks.ModelIntervalCheckpoint):
    """Keras-RL's ModelIntervalCheckpoint; its count of steps continues after a resume."""

    def get_state(self) -> dict[str, Any]:
        """Return the number of steps counted."""
        return {"total_steps": self.total_steps}

    def set_state(self, state: dict[str, Any]) -> None:
        """Continue the count that `get_state` returned."""
        self.total_steps = state["total_steps"]
