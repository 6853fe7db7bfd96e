"""Deep Q-learning: the agent, its loop through the environment, its memory, and the compiled update."""

from kerasrl.compat import keras_rl as keras_rl  # first: it lets the modules below import Keras-RL

# isort: split

from kerasrl.dqn import device as device
from kerasrl.dqn.agent import DQNAgent as DQNAgent
from kerasrl.dqn.memory import SequentialMemory as SequentialMemory
from kerasrl.dqn.policy import ExponentialAnnealedPolicy as ExponentialAnnealedPolicy
from kerasrl.dqn.prioritized import PrioritizedMemory as PrioritizedMemory

device.choose_at_first_input()  # own scripts do not call `device.configure`
