"""The network of CEM and the agent, for the commands: `python train.py --agent cem`."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from kerasrl.agents import recipes  # first: Keras-RL cannot be imported without it

# isort: split

from keras import Model
from keras.layers import Dense

from kerasrl.agents.cem import CEMAgent
from kerasrl.config import CEMConfig
from kerasrl.replay import EpisodeParameterMemory

if TYPE_CHECKING:
    from kerasrl import Run


def build(run: "Run") -> CEMAgent:
    """Return the agent that is trained, played with and exported."""
    config = run.settings(CEMConfig)
    model = run.own_network()  # your own, if you brought one
    if model is None:
        model = build_model(run.state_size, run.num_actions, config)
    agent = CEMAgent(
        model=model,
        nb_actions=run.num_actions,
        memory=EpisodeParameterMemory(limit=config.memory_limit),
        processor=run.processor,
        batch_size=config.batch_size,
        nb_steps_warmup=config.nb_steps_warmup,
        train_interval=config.train_interval,
        elite_frac=config.elite_frac,
        noise_ampl=config.noise_ampl,
        noise_decay_const=config.noise_decay_const,
        metadata=asdict(config),  # is saved with the weights
    )
    agent.compile(jit_compile="auto" if config.jit_compile else False)
    return agent


def build_model(state_size: Any, num_actions: int, config: CEMConfig) -> Model:
    """Return the network, from states to one number for each action [B, num_actions]; the largest is taken."""
    inputs, x = recipes.state_inputs(state_size)
    x = recipes.hidden(x, config.hidden_layers, config)
    return Model(inputs, Dense(num_actions)(x))
