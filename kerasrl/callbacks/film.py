"""A callback that films episodes."""

import contextlib
import os
from typing import Any

import rl.callbacks

from kerasrl.compat.quiet import quiet_stderr
from kerasrl.environments import require_pictures
from kerasrl.storage.video import VideoFile, check_path


class Film(rl.callbacks.Callback):
    """Film the first episodes of `DQNAgent.test`, at natural speed, to a .gif or .mp4 file.

    The file appears when the run is over; a run that fails before it has finished the episodes leaves none.

    Args:
        path: File to write.
        env: The environment played, made with render_mode="rgb_array"; its speed is metadata["render_fps"].
        nb_episodes: Episodes to film.

    Raises:
        UserError: The file cannot be written, or the environment cannot draw.
    """

    SPEED = 25  # steps per second of an environment that does not say
    LAST = 1.0  # seconds for which an episode's last picture stays

    def __init__(self, path: str | os.PathLike[str], env: Any, nb_episodes: int = 1) -> None:
        super().__init__()
        check_path(path)
        require_pictures(env)
        self.path, self.source, self.nb_episodes = path, env, nb_episodes
        self._video: VideoFile | None = None
        self._nb_filmed = 0
        self._step: int | None = None  # of the episode being filmed

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Begin the film."""
        self._video = VideoFile(self.path, self.source.metadata.get("render_fps") or self.SPEED)
        self._nb_filmed, self._step = 0, None

    def on_action_begin(self, action: Any, logs: dict[str, Any] | None = None) -> None:
        """Show how an episode begins."""
        if self._step is None and self._nb_filmed < self.nb_episodes:
            self._step = 0
            # SDL complains about a missing desktop or sound card when an environment draws for the first time.
            with contextlib.nullcontext() if self._nb_filmed else quiet_stderr():
                self._show()

    def on_action_end(self, action: Any, logs: dict[str, Any] | None = None) -> None:
        """Show the result of an action."""
        if self._step is not None and self._video is not None:
            self._step += 1
            if self._step % self._video.every == 0:
                self._show()

    def on_episode_end(self, episode: int, logs: dict[str, Any] | None = None) -> None:
        """Hold the episode's last picture for a moment."""
        if self._step is not None:
            self._show(self.LAST)
            self._step = None
            self._nb_filmed += 1

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Put the film in its place if its last episode was finished."""
        video, self._video = self._video, None
        if video is not None and self._nb_filmed and self._step is None:
            video.close()
        elif video is not None:
            video.discard()

    def _show(self, seconds: float | None = None) -> None:
        if self._video is not None:
            self._video.add(self.source.render(), seconds)
