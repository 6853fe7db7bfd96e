"""Normalised advantage functions: Q-learning with continuous actions."""

from kerasrl.agents.naf.agent import NAFAgent as NAFAgent
from kerasrl.agents.naf.layer import NAFLayer as NAFLayer
