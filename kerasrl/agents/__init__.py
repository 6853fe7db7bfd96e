"""Agents: what acts and learns. Fit, test and their loop are for all of them; a folder holds one agent's own parts."""

from kerasrl.compat import keras_rl as keras_rl  # first: it lets the modules below import Keras-RL

# isort: split

from kerasrl.agents.base import Agent as Agent
from kerasrl.agents.cem import CEMAgent as CEMAgent
from kerasrl.agents.ddpg import DDPGAgent as DDPGAgent
from kerasrl.agents.dqn import AbstractDQNAgent as AbstractDQNAgent
from kerasrl.agents.dqn import DQNAgent as DQNAgent
from kerasrl.agents.naf import NAFAgent as NAFAgent
from kerasrl.agents.naf import NAFLayer as NAFLayer
from kerasrl.agents.noise import OrnsteinUhlenbeckProcess as OrnsteinUhlenbeckProcess
from kerasrl.agents.policies import ExponentialAnnealedPolicy as ExponentialAnnealedPolicy
from kerasrl.agents.sarsa import SARSAAgent as SARSAAgent
from kerasrl.agents.seeding import seed as seed

ContinuousDQNAgent, SarsaAgent = NAFAgent, SARSAAgent  # Keras-RL's other names
