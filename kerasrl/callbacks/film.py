"""A callback that films episodes."""

import contextlib
import os
from typing import Any

import rl.callbacks

from kerasrl.compat.quiet import quiet_stderr
from kerasrl.environments import require_pictures
from kerasrl.environments.rendering import caption
from kerasrl.environments.video import VideoFile, check_path
from kerasrl.storage.earlier import run_of


class Film(rl.callbacks.Callback):
    """Film the first episodes of `test`, at natural speed, to a .gif or .mp4 file.

    A strip above the pictures shows the episode, the step and the reward so far.
    The file appears when the run is over; a run that fails before it has finished the episodes leaves none.

    Args:
        env: The environment played, made with render_mode="rgb_array"; its speed is metadata["render_fps"].
        nb_episodes: How many episodes to film.
        title: What the strip shows instead of the episode's number.

    Raises:
        UserError: The file cannot be written, or the environment cannot draw.
    """

    SPEED = 10  # steps per second where the environment, like MinAtar's, does not say: slow enough to follow
    LAST = 1.0  # seconds for which an episode's last picture stays

    def __init__(self, path: str | os.PathLike[str], env: Any, nb_episodes: int = 1, title: str = "") -> None:
        super().__init__()
        check_path(path)
        require_pictures(env)
        self.path, self.source, self.nb_episodes, self.title = path, env, nb_episodes, title
        self._video: VideoFile | None = None
        self._nb_filmed = 0
        self._nb_actions: int | None = None  # in the episode being filmed
        self._nb_steps, self._reward = 0, 0.0  # in that episode, too
        self._waiting: list[Any] = []  # the picture of an action whose reward is not known yet

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Begin the film."""
        rate = self.source.metadata.get("render_fps") or self.SPEED
        self._video = VideoFile(self.path, rate, run_of(self.model))
        self._nb_filmed, self._nb_actions, self._waiting = 0, None, []

    def on_action_begin(self, action: Any, logs: dict[str, Any] | None = None) -> None:
        """Show how an episode begins."""
        self._add()
        if self._nb_actions is None and self._nb_filmed < self.nb_episodes:
            self._nb_actions, self._nb_steps, self._reward = 0, 0, 0.0
            # SDL complains about a missing desktop or sound card when an environment draws for the first time.
            with contextlib.nullcontext() if self._nb_filmed else quiet_stderr():
                self._waiting = [self.source.render()]
            self._add()

    def on_action_end(self, action: Any, logs: dict[str, Any] | None = None) -> None:
        """Draw the result of an action."""
        if self._nb_actions is not None and self._video is not None:
            self._nb_actions += 1
            if self._nb_actions % self._video.every == 0:
                self._waiting = [self.source.render()]

    def on_step_end(self, step: int, logs: dict[str, Any]) -> None:
        """Count the step and its reward."""
        self._nb_steps += 1
        self._reward += logs.get("environment_reward", logs["reward"])

    def on_episode_end(self, episode: int, logs: dict[str, Any] | None = None) -> None:
        """Hold the episode's last picture for a moment."""
        if self._nb_actions is not None:
            self._add()
            self._waiting = [self.source.render()]
            self._add(self.LAST)
            self._nb_actions = None
            self._nb_filmed += 1

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Put the film in its place if its last episode was finished."""
        video, self._video = self._video, None
        if video is not None and self._nb_filmed and self._nb_actions is None:
            video.close()
        elif video is not None:
            video.discard()

    def _add(self, seconds: float | None = None) -> None:
        """Add the waiting picture, if there is one."""
        if self._waiting and self._video is not None:
            title = self.title or f"episode {self._nb_filmed + 1}"
            self._video.add(self._waiting.pop(), caption(title, self._reward, self._nb_steps), seconds)
