"""The cross-entropy method: searching for weights by what episodes played with them earn."""

from kerasrl.agents.cem.agent import CEMAgent as CEMAgent
