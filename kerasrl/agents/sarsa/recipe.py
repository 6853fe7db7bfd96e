"""The network of SARSA and the agent, for the commands: `python train.py --agent sarsa`."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from kerasrl.agents import recipes  # first: Keras-RL cannot be imported without it

# isort: split

from keras import Model
from keras.layers import Dense
from rl.policy import BoltzmannQPolicy, EpsGreedyQPolicy, LinearAnnealedPolicy

from kerasrl.agents.policies import ExponentialAnnealedPolicy
from kerasrl.agents.sarsa import SARSAAgent
from kerasrl.config import SARSAConfig

if TYPE_CHECKING:
    from kerasrl import Run


def build(run: "Run") -> SARSAAgent:
    """Return the agent that is trained, played with and exported."""
    config = run.settings(SARSAConfig)
    model = run.own_network()  # your own, if you brought one
    if model is None:
        model = build_model(run.state_size, run.num_actions, config)
    agent = SARSAAgent(
        model=model,
        nb_actions=run.num_actions,
        policy=build_policy(config),
        processor=run.processor,
        gamma=config.gamma,
        nb_steps_warmup=config.nb_steps_warmup,
        train_interval=config.train_interval,
        delta_clip=config.delta_clip,
        metadata=asdict(config),  # is saved with the weights
    )
    optimizer = recipes.build_optimizer(config, config.learning_rate, config.nb_steps_warmup)
    agent.compile(optimizer, metrics=["mae"], jit_compile="auto" if config.jit_compile else False)
    return agent


def build_model(state_size: Any, num_actions: int, config: SARSAConfig) -> Model:
    """Return the network, from states to Q-values [B, num_actions]."""
    inputs, x = recipes.state_inputs(state_size)
    x = recipes.hidden(x, config.hidden_layers, config)
    return Model(inputs, Dense(num_actions)(x))


def build_policy(config: SARSAConfig) -> Any:
    """Return the exploration policy."""
    if config.policy == "boltzmann":
        return BoltzmannQPolicy(tau=config.tau)
    eps: dict[str, Any] = {"value_max": config.eps_max, "value_min": config.eps_min, "value_test": config.eps_test}
    if config.eps_schedule == "linear":
        return LinearAnnealedPolicy(EpsGreedyQPolicy(), attr="eps", nb_steps=config.eps_nb_steps, **eps)
    return ExponentialAnnealedPolicy(EpsGreedyQPolicy(), attr="eps", rate=config.eps_rate, **eps)
