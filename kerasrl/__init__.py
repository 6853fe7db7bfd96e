"""Keras-RL on today's TensorFlow: its agents and everything around a training, as names of this package.

    from kerasrl import Config, train
    trained = train(Config(env="CartPole-v1"))
    trained.play(record="film.gif")

The names below are imported on first use, because importing TensorFlow takes seconds. Those of functions that take
objects of Keras import it, so that it is kept quiet where the next line is `from keras.callbacks import ...`.
"""

import sys

if sys.version_info < (3, 10):  # noqa: UP036  # before importing anything that older versions cannot read
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    sys.exit(f"error: this is Python {version}, but 3.10 to 3.13 are supported; use a newer one")

# isort: split

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kerasrl.agents import Agent as Agent
    from kerasrl.agents import CEMAgent as CEMAgent
    from kerasrl.agents import ContinuousDQNAgent as ContinuousDQNAgent
    from kerasrl.agents import DDPGAgent as DDPGAgent
    from kerasrl.agents import DQNAgent as DQNAgent
    from kerasrl.agents import ExponentialAnnealedPolicy as ExponentialAnnealedPolicy
    from kerasrl.agents import NAFAgent as NAFAgent
    from kerasrl.agents import NAFLayer as NAFLayer
    from kerasrl.agents import OrnsteinUhlenbeckProcess as OrnsteinUhlenbeckProcess
    from kerasrl.agents import SARSAAgent as SARSAAgent
    from kerasrl.agents import SarsaAgent as SarsaAgent
    from kerasrl.agents import seed as seed
    from kerasrl.callbacks import FileLogger as FileLogger
    from kerasrl.callbacks import ModelIntervalCheckpoint as ModelIntervalCheckpoint
    from kerasrl.cli.scripts import answer as answer
    from kerasrl.cli.scripts import command as command
    from kerasrl.config import CEMConfig as CEMConfig
    from kerasrl.config import Config as Config
    from kerasrl.config import DDPGConfig as DDPGConfig
    from kerasrl.config import NAFConfig as NAFConfig
    from kerasrl.config import SARSAConfig as SARSAConfig
    from kerasrl.environments.normalizing import NormalizingProcessor as NormalizingProcessor
    from kerasrl.errors import UserError as UserError
    from kerasrl.errors import WeightsError as WeightsError
    from kerasrl.learning.device import configure as configure
    from kerasrl.replay import EpisodeParameterMemory as EpisodeParameterMemory
    from kerasrl.replay import PrioritizedMemory as PrioritizedMemory
    from kerasrl.replay import SequentialMemory as SequentialMemory
    from kerasrl.tools.export import export as export
    from kerasrl.tools.new import new as new
    from kerasrl.tools.play import play as play
    from kerasrl.tools.plot import plot as plot
    from kerasrl.tools.train import train as train
    from kerasrl.tools.tune import tune as tune
    from kerasrl.training.files import RunFiles as RunFiles
    from kerasrl.training.run import PlayRun as PlayRun
    from kerasrl.training.run import Run as Run
    from kerasrl.training.run import TrainingRun as TrainingRun

_HOMES = {
    "Agent": "kerasrl.agents",
    "CEMConfig": "kerasrl.config",
    "CEMAgent": "kerasrl.agents",
    "Config": "kerasrl.config",
    "DDPGConfig": "kerasrl.config",
    "ContinuousDQNAgent": "kerasrl.agents",
    "DDPGAgent": "kerasrl.agents",
    "DQNAgent": "kerasrl.agents",
    "EpisodeParameterMemory": "kerasrl.replay",
    "ExponentialAnnealedPolicy": "kerasrl.agents",
    "FileLogger": "kerasrl.callbacks",
    "ModelIntervalCheckpoint": "kerasrl.callbacks",
    "NAFConfig": "kerasrl.config",
    "NAFAgent": "kerasrl.agents",
    "NAFLayer": "kerasrl.agents",
    "NormalizingProcessor": "kerasrl.environments.normalizing",
    "OrnsteinUhlenbeckProcess": "kerasrl.agents",
    "PlayRun": "kerasrl.training.run",
    "PrioritizedMemory": "kerasrl.replay",
    "Run": "kerasrl.training.run",
    "RunFiles": "kerasrl.training.files",
    "SARSAConfig": "kerasrl.config",
    "SARSAAgent": "kerasrl.agents",
    "SarsaAgent": "kerasrl.agents",
    "SequentialMemory": "kerasrl.replay",
    "TrainingRun": "kerasrl.training.run",
    "UserError": "kerasrl.errors",
    "WeightsError": "kerasrl.errors",
    "answer": "kerasrl.cli.scripts",
    "command": "kerasrl.cli.scripts",
    "configure": "kerasrl.learning.device",
    "export": "kerasrl.tools.export",
    "new": "kerasrl.tools.new",
    "play": "kerasrl.tools.play",
    "plot": "kerasrl.tools.plot",
    "seed": "kerasrl.agents",
    "train": "kerasrl.tools.train",
    "tune": "kerasrl.tools.tune",
}

_TAKE_OBJECTS = {"train", "play", "export"}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name in _TAKE_OBJECTS:
        import_module("kerasrl.compat.keras_rl")
    return getattr(import_module(_HOMES[name]), name)
