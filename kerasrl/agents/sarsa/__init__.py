"""SARSA: learning the value of the policy that acts, from each step once."""

from kerasrl.agents.sarsa.agent import SARSAAgent as SARSAAgent
