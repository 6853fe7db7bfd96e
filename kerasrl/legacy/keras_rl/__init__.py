"""Keras-RL 0.1 to 0.4.2 and keras-rl2: their names, with this project's agent, memory and callbacks under them."""
