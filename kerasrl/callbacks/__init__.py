"""Callbacks: what happens around the steps of a training: saving, logging, evaluating, filming, showing progress."""

import kerasrl.compat.keras_rl  # noqa: F401  # first: it lets the modules below import Keras-RL
from kerasrl.callbacks.deadline import Deadline as Deadline
from kerasrl.callbacks.evaluation import Evaluation as Evaluation
from kerasrl.callbacks.film import Film as Film
from kerasrl.callbacks.progress import PlayoffProgress as PlayoffProgress
from kerasrl.callbacks.progress import TestLogger as TestLogger
from kerasrl.callbacks.progress import TrainEpisodeLogger as TrainEpisodeLogger
from kerasrl.callbacks.progress import TrainProgress as TrainProgress
from kerasrl.callbacks.saving import FileLogger as FileLogger
from kerasrl.callbacks.saving import ModelIntervalCheckpoint as ModelIntervalCheckpoint
from kerasrl.callbacks.tensorboard import TensorBoardLogger as TensorBoardLogger
