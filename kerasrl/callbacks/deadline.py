"""The end of a training whose time is up."""

import time
from typing import Any

import rl.callbacks


class Deadline(rl.callbacks.Callback):
    """Stop a training at the end of the episode in which its time runs out; a resume goes on from there.

    It is for the end of the list: the callbacks before it hear of that episode as of any other.

    Args:
        at: When the time is up, as `time.monotonic` counts.

    Attributes:
        has_stopped: Whether it has stopped the training.
    """

    def __init__(self, at: float) -> None:
        super().__init__()
        self.at, self.has_stopped = at, False

    def on_episode_end(self, episode: int, logs: dict[str, Any]) -> None:
        """Stop as a signal does, unless the training has come to its end in any case."""
        is_over = self.model.stop_training or logs["nb_steps"] >= self.params["nb_steps"]
        if not is_over and time.monotonic() >= self.at:
            self.has_stopped = self.model.stop_training = self.model.did_abort = True
