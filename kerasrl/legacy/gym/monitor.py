"""gym's `Monitor` and `RecordVideo`: films of chosen episodes, written by this project's film writer.

Imported once gym has been imported.
"""

# The wrappers' methods are gym's.
# ruff: noqa: D102

import functools
import importlib
import json
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kerasrl.environments.display import draws
from kerasrl.environments.instances import wrapper_chain
from kerasrl.environments.rendering import caption, render
from kerasrl.errors import UserError, one_line
from kerasrl.legacy.report import report

gym: Any = importlib.import_module("gym")


def is_cube(episode: int) -> bool:
    """Return whether gym filmed an episode by default: cubes below 1000, then every 1000th."""
    return round(episode ** (1 / 3)) ** 3 == episode if episode < 1000 else episode % 1000 == 0


class Recorder:
    """Films episodes of an environment, and counts their rewards and steps.

    Args:
        env: What is filmed.
        folder: Where the films are written; it is made if it does not exist.
        is_filmed: Whether an episode, counted from 0, is filmed.
        prefix: Beginning of the films' names, which end in the episode's number.
        length: Most steps in a film; 0 for whole episodes.
    """

    def __init__(
        self, env: Any, folder: str | os.PathLike[str], is_filmed: Callable[[int], bool], prefix: str, length: int = 0
    ) -> None:
        self.env, self.folder, self.is_filmed, self.prefix, self.length = env, Path(folder), is_filmed, prefix, length
        self.folder.mkdir(parents=True, exist_ok=True)
        self.rewards: list[float] = []
        self.lengths: list[int] = []
        self.film: Any = None
        self.episode = -1

    def begin(self, result: Any) -> Any:
        """Begin an episode; return what `reset` returned."""
        self.end()
        self.episode += 1
        self.rewards.append(0.0)
        self.lengths.append(0)
        if self.is_filmed(self.episode):
            self._start()
        return result

    def follow(self, result: Any) -> Any:
        """Count and film a step; return what `step` returned."""
        if self.lengths:
            _, reward, *ends, _ = result
            self.rewards[-1] += float(reward)
            self.lengths[-1] += 1
            if self.film is not None:
                self._add()
                if any(ends) or self.lengths[-1] == self.length:
                    self.end()
        return result

    def end(self) -> None:
        """Finish the episode's film."""
        if self.film is not None:
            self.film.close()
            self.film = None

    def _start(self) -> None:
        from kerasrl.environments.video import VideoFile

        if not draws(self.env) and not any("render" in vars(type(layer)) for layer in wrapper_chain(self.env)):
            return
        metadata = getattr(self.env, "metadata", None) or {}
        rate = metadata.get("render_fps") or metadata.get("video.frames_per_second") or 30
        path = self.folder / f"{self.prefix}{self.episode:06d}"
        try:
            self.film = VideoFile(f"{path}.mp4", rate)
        except UserError:  # the package for .mp4 is an extra
            self.film = VideoFile(f"{path}.gif", rate)
        self._add()

    def _add(self) -> None:
        if self.lengths[-1] % self.film.every:
            return
        why = "the environment's render() does not return a picture for 'rgb_array'"
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="glfw")
            try:
                picture = render(self.env, "rgb_array")
            except Exception as error:  # MuJoCo needs OpenGL; its absence is no reason to stop
                picture, why = None, f"render() failed ({one_line(error)})"
        if picture is None:
            report.differs(f"nothing is filmed: {why}")
            self.film.discard()
            self.film, self.is_filmed = None, lambda episode: False  # asked again, MuJoCo would end the process
        else:
            self.film.add(picture, caption(f"episode {self.episode + 1}", self.rewards[-1], self.lengths[-1]))


class Monitor(gym.Wrapper):
    """gym's Monitor until 0.22: films of some episodes, and a file with all rewards and lengths.

    Args:
        env: What is filmed; in 2017 gym had `Monitor(directory)(env)`.
        directory: Folder of the films.
        video_callable: Whether an episode, counted from 0, is filmed; False for none, None for gym's choice.
        force, resume: Not needed: films of the same name are replaced.
        write_upon_reset, mode: Not used: `close` writes the file of rewards.
        uid: Part of the files' names; None for the process's number.
    """

    def __new__(cls, env: Any = None, *args: Any, **kwargs: Any) -> Any:
        if isinstance(env, str | os.PathLike):  # the folder alone
            return lambda inner: Monitor(inner, env, *args, **kwargs)
        return super().__new__(cls)

    def __init__(
        self,
        env: Any,
        directory: str | os.PathLike[str],
        video_callable: Any = None,
        force: bool = False,
        resume: bool = False,
        write_upon_reset: bool = False,
        uid: Any = None,
        mode: str | None = None,
    ) -> None:
        super().__init__(env)
        self._recorder = _recorder(env, directory, video_callable, uid)

    def step(self, action: Any) -> Any:
        return self._recorder.follow(self.env.step(action))

    def reset(self, **kwargs: Any) -> Any:
        return self._recorder.begin(self.env.reset(**kwargs))

    def close(self) -> None:
        _write(self._recorder)
        self.env.close()

    def get_episode_rewards(self) -> list[float]:
        return self._recorder.rewards

    def get_episode_lengths(self) -> list[int]:
        return self._recorder.lengths

    def get_total_steps(self) -> int:
        return sum(self._recorder.lengths)

    def __del__(self) -> None:
        if "_recorder" in vars(self):
            self._recorder.end()


class RecordVideo(gym.Wrapper):
    """gym's RecordVideo, without the moviepy that gym's needs.

    Args:
        env: What is filmed.
        video_folder: Folder of the films.
        episode_trigger: Whether an episode, counted from 0, is filmed; None for gym's choice.
        step_trigger: Whether a film begins at a step, counted from 0.
        video_length: Steps of a film; 0 for whole episodes.
        name_prefix: Beginning of the films' names.
    """

    def __init__(
        self,
        env: Any,
        video_folder: str | os.PathLike[str],
        episode_trigger: Callable[[int], bool] | None = None,
        step_trigger: Callable[[int], bool] | None = None,
        video_length: int = 0,
        name_prefix: str = "rl-video",
        *args: Any,
        **kwargs: Any,
    ) -> None:
        super().__init__(env)
        self._recorder: Recorder
        if step_trigger is not None and episode_trigger is None:
            report.differs("RecordVideo films whole episodes: those that begin at a step that step_trigger chooses")
            episode_trigger = lambda episode: step_trigger(sum(self._recorder.lengths))  # noqa: E731
        prefix = f"{name_prefix}-episode-"
        self._recorder = Recorder(env, video_folder, episode_trigger or is_cube, prefix, video_length)

    step, reset, __del__ = Monitor.step, Monitor.reset, Monitor.__del__

    def close(self) -> None:
        self._recorder.end()
        self.env.close()


class _OldMonitor:
    """`env.monitor`, as before gym 0.7."""

    def __init__(self, env: Any) -> None:
        self.env = env
        self.recorder: Recorder | None = None

    def start(self, directory: str, video_callable: Any = None, *args: Any, **kwargs: Any) -> None:
        report.translated("env.monitor.start(folder) -> films as gym.wrappers.Monitor makes them")
        recorder = self.recorder = _recorder(self.env, directory, video_callable, kwargs.get("uid"))
        step, reset = self.env.step, self.env.reset
        self.env.step = lambda action: recorder.follow(step(action))
        self.env.reset = lambda **options: recorder.begin(reset(**options))

    def close(self) -> None:
        if self.recorder is not None:
            _write(self.recorder)
            del self.env.step, self.env.reset
            self.recorder = None

    def configure(self, *args: Any, video_callable: Any = None, **kwargs: Any) -> None:
        if self.recorder is not None and video_callable is not None:
            self.recorder.is_filmed = _chooser(video_callable)


def _chooser(video_callable: Any) -> Callable[[int], bool]:
    if callable(video_callable):
        return video_callable  # type: ignore[no-any-return]
    return (lambda episode: False) if video_callable is False else is_cube


def _recorder(env: Any, folder: Any, video_callable: Any, uid: Any) -> Recorder:
    return Recorder(env, folder, _chooser(video_callable), f"openaigym.video.0.{uid or os.getpid()}.video")


def _write(recorder: Recorder) -> None:
    """Finish the film, and write rewards and lengths as gym's Monitor did."""
    recorder.end()
    name = recorder.prefix.replace("video.", "episode_batch.", 1).removesuffix("video")
    tree = {"episode_lengths": recorder.lengths, "episode_rewards": recorder.rewards}
    (recorder.folder / f"{name}stats.json").write_text(json.dumps(tree))


def give_back() -> None:
    """Let environments have a `monitor`, as before gym 0.7."""
    gym.Env.monitor = functools.cached_property(_OldMonitor)
    gym.Env.monitor.__set_name__(gym.Env, "monitor")
