"""Callbacks from the settings and from the user: evaluations, TensorBoard, classes named by `module:Class`."""

from kerasrl.callbacks import Evaluation, Film, TensorBoardLogger

# isort: split

import inspect
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import keras
from rl.callbacks import Callback

from kerasrl import environments
from kerasrl.callbacks.callback_list import checked
from kerasrl.config import AnyConfig
from kerasrl.environments import Copies
from kerasrl.environments.video import string_together
from kerasrl.errors import UserError
from kerasrl.named import named
from kerasrl.training.files import RunFiles


def build_evaluation(config: AnyConfig, files: RunFiles, solved_at: float | None, place: Any) -> Evaluation:
    """Return the callback that keeps the best weights; it must precede those that log.

    `place` is the environment to evaluate in, or `Copies` of the one trained in.
    """
    films: dict[str, Any] = {}

    def env() -> Any:
        return place.latest if isinstance(place, Copies) else place

    if config.record_every:
        environments.require_pictures(env())
        films = {
            "film": lambda step: Film(files.film(step), env(), title=f"after {step:,} steps"),
            "film_interval": config.record_every,
            "after_film": lambda: string_together(files.films(), files.progress_film),
        }
    return Evaluation(
        place,
        files.best,
        interval=config.eval_interval,
        nb_episodes=config.eval_episodes,
        seed=None if config.seed is None else 2**32 - 1 - config.seed,  # not the training's episodes
        solved_at=solved_at,
        action_repetition=config.action_repetition,
        nb_max_episode_steps=config.nb_max_episode_steps or None,
        action_masks=vars(config).get("action_masks", True),
        nb_kept=max(1, config.playoff),
        **films,
    )


def build_tensorboard(config: AnyConfig, files: RunFiles, run: str = "") -> Callback:
    """Return the callback that writes curves and settings for TensorBoard, with the id of the run."""
    return TensorBoardLogger(str(files.tensorboard), {**asdict(config), **({"run": run} if run else {})})


def own_callbacks(config: AnyConfig, given: Sequence[Any] | None = None) -> list[Callback]:
    """Return the callbacks that the settings name, and those in `given`; raises `UserError` if one cannot work."""
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
