"""Replay memories: the steps that an agent has taken, and samples of them to learn from."""

from kerasrl.compat import keras_rl as keras_rl  # first: it lets the modules below import Keras-RL

# isort: split

from kerasrl.replay.episodes import EpisodeParameterMemory as EpisodeParameterMemory
from kerasrl.replay.prioritized import PrioritizedMemory as PrioritizedMemory
from kerasrl.replay.sequential import SequentialMemory as SequentialMemory
from kerasrl.replay.transitions import Transitions as Transitions
