"""Callbacks: what happens around the steps of a training: saving, logging, evaluating, filming, showing progress."""

from kerasrl.compat import keras_rl as keras_rl  # first: it lets the modules below import Keras-RL

# isort: split

from kerasrl.callbacks.evaluation import Evaluation as Evaluation
from kerasrl.callbacks.film import Film as Film
from kerasrl.callbacks.progress import TrainProgress as TrainProgress
from kerasrl.callbacks.saving import FileLogger as FileLogger
from kerasrl.callbacks.saving import ModelIntervalCheckpoint as ModelIntervalCheckpoint
from kerasrl.callbacks.tensorboard import TensorBoardLogger as TensorBoardLogger
