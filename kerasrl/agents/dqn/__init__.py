"""Deep Q-learning: the agent, its update, and the dueling network."""

from kerasrl.agents.dqn.abstract import AbstractDQNAgent as AbstractDQNAgent
from kerasrl.agents.dqn.agent import DQNAgent as DQNAgent
