"""What happens around training: weights and a log are saved, the best weights are found, curves go to TensorBoard."""

import inspect
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from kerasrl.callbacks import Evaluation, FileLogger, Film, ModelIntervalCheckpoint, TensorBoardLogger

# isort: split

import keras
from rl.callbacks import Callback

from config import Config
from kerasrl import environments
from kerasrl.callbacks.callback_list import checked
from kerasrl.compat.names import named
from kerasrl.errors import UserError
from kerasrl.storage.video import string_together
from objects import Objects
from run import RunFiles


def build_callbacks(
    env_name: str,
    checkpoint_dir: str = Config.checkpoint_dir,
    log_dir: str = Config.log_dir,
    checkpoint_interval: int = Config.checkpoint_interval,
    log_interval: int = Config.log_interval,
) -> list[Callback]:
    """Return the tutorial's callbacks for `fit`: weights every so many steps, a log every so many episodes."""
    files = RunFiles(env_name, Path(checkpoint_dir), Path(log_dir))
    callbacks: list[Callback] = [ModelIntervalCheckpoint(files.checkpoints, interval=checkpoint_interval)]
    callbacks += [FileLogger(str(files.log), interval=log_interval)]
    return callbacks


def build_evaluation(
    config: Config, files: RunFiles, solved_at: float | None, objects: Objects = Objects()
) -> Evaluation:
    """Return the callback that keeps the best weights; it must come before those that log."""
    env = objects.make_env(config, "rgb_array" if config.record_every else None)
    films: dict[str, Any] = {}
    if config.record_every:
        environments.require_pictures(env)
        films = {
            "film": lambda step: Film(files.film(step), env, title=f"after {step:,} steps"),
            "film_interval": config.record_every,
            "after_film": lambda: string_together(files.films(), files.progress_film),
        }
    return Evaluation(
        env,
        files.best,
        interval=config.eval_interval,
        nb_episodes=config.eval_episodes,
        seed=None if config.seed is None else 2**32 - 1 - config.seed,  # not the episodes of the training
        solved_at=solved_at,
        action_repetition=config.action_repetition,
        nb_max_episode_steps=config.nb_max_episode_steps or None,
        **films,
    )


def build_tensorboard(config: Config, files: RunFiles) -> Callback:
    """Return the callback that writes curves and settings for TensorBoard."""
    return TensorBoardLogger(str(files.tensorboard), asdict(config))


def own_callbacks(config: Config, given: Sequence[Any] | None = None) -> list[Callback]:
    """Return the callbacks that the settings name, and those that are given.

    Raises:
        UserError: One cannot be made or cannot work.
    """
    made = []
    for name in config.callback:
        kind = named(name)
        if not (isinstance(kind, type) and issubclass(kind, keras.callbacks.Callback)):
            raise UserError(f"{name} must be a subclass of rl.callbacks.Callback")
        takes_config = "config" in inspect.signature(kind).parameters
        try:
            made.append(kind(config=config) if takes_config else kind())
        except TypeError as error:
            raise UserError(
                f"{name} must be a class that needs no arguments but, optionally, config: {error}"
            ) from None
    return checked(made) + checked(given)
