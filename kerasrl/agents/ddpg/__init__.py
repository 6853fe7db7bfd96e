"""Deep deterministic policy gradients: the agent, its update, and its pair of weights files."""

from kerasrl.agents.ddpg.agent import DDPGAgent as DDPGAgent
