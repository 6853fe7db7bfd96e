"""The Q-network and the agent of the tutorial."""

import math
from dataclasses import asdict
from typing import Any

from kerasrl import (  # first: Keras-RL cannot be imported without it
    Config,
    DQNAgent,
    ExponentialAnnealedPolicy,
    PrioritizedMemory,
    SequentialMemory,
)

# isort: split

import keras
from keras import Input, Model
from keras.layers import Activation, Concatenate, Dense, Flatten, LayerNormalization
from rl.policy import EpsGreedyQPolicy, LinearAnnealedPolicy

# An observation's length, or its shape if it has several dimensions; for a Dict observation, the shape of each part.
StateSize = int | tuple[int, ...] | dict[str, tuple[int, ...]]


def build_model(
    state_size: StateSize,
    num_actions: int,
    hidden_layers: tuple[int, ...] = Config.hidden_layers,
    window_length: int = Config.window_length,
    activation: str = Config.activation,
    layer_normalization: bool = Config.layer_normalization,
) -> Model:
    """Return the Q-network, from states [B, window_length, state_size] to Q-values [B, num_actions].

    By default the tutorial's: Flatten, three Dense layers of 16 nodes with relu, and a linear output. A dictionary of
    sizes gives one input per key; the flattened inputs are concatenated.
    """
    if isinstance(state_size, dict):
        inputs = [Input((window_length, *size), name=name) for name, size in state_size.items()]
        input, x = inputs, Concatenate()([Flatten()(part) for part in inputs])
    else:
        input = Input(shape=(window_length, *((state_size,) if isinstance(state_size, int) else state_size)))
        x = Flatten()(input)
    for nodes in hidden_layers:
        if layer_normalization:
            x = Activation(activation)(LayerNormalization()(Dense(nodes, use_bias=False)(x)))
        else:
            x = Dense(nodes, activation=activation)(x)
    output = Dense(num_actions, activation="linear")(x)
    return Model(inputs=input, outputs=output)


def build_agent(model: Model, num_actions: int, config: Config = Config(), processor: Any = None) -> DQNAgent:
    """Return the compiled agent: replay memory, exploration policy, DQN."""
    dqn = DQNAgent(
        model=model,
        nb_actions=num_actions,
        memory=build_memory(config),
        policy=build_policy(config),
        processor=processor,
        gamma=config.gamma,
        batch_size=config.batch_size,
        nb_steps_warmup=config.nb_steps_warmup,
        train_interval=config.train_interval,
        gradient_steps=config.gradient_steps,
        n_step=config.n_step,
        target_model_update=config.target_model_update,
        delta_clip=config.delta_clip,
        enable_double_dqn=config.enable_double_dqn,
        enable_dueling_network=config.enable_dueling_network,
        dueling_type=config.dueling_type,
        metadata=asdict(config),  # is saved with the weights
    )
    optimizer = keras.optimizers.get(config.optimizer)  # Adam, as in the tutorial, unless the settings say otherwise
    optimizer.learning_rate = build_learning_rate(config)
    optimizer.global_clipnorm = config.global_clipnorm if config.global_clipnorm < float("inf") else None
    dqn.compile(optimizer, metrics=["mae"], jit_compile="auto" if config.jit_compile else False)
    return dqn


def build_memory(config: Config) -> SequentialMemory:
    """Return the replay memory."""
    if config.memory == "sequential":
        return SequentialMemory(limit=config.memory_limit, window_length=config.window_length)
    return PrioritizedMemory(
        limit=config.memory_limit,
        window_length=config.window_length,
        alpha=config.priority_alpha,
        beta=config.priority_beta,
        beta_end=config.priority_beta_end,
        nb_steps_annealed=config.priority_nb_steps,
        epsilon=config.priority_epsilon,
    )


def build_policy(config: Config) -> LinearAnnealedPolicy:
    """Return the exploration policy: with probability epsilon, which falls over time, it acts at random."""
    eps: dict[str, Any] = {"value_max": config.eps_max, "value_min": config.eps_min, "value_test": config.eps_test}
    if config.eps_schedule == "linear":
        return LinearAnnealedPolicy(EpsGreedyQPolicy(), attr="eps", nb_steps=config.eps_nb_steps, **eps)
    return ExponentialAnnealedPolicy(EpsGreedyQPolicy(), attr="eps", rate=config.eps_rate, **eps)


def build_learning_rate(config: Config) -> Any:
    """Return the learning rate or, if it is to fall, a Keras schedule.

    A schedule counts updates. Keras-RL makes an extra one after the last step of an episode, so it ends a little early.
    """
    if not config.learning_rate_nb_steps:
        return config.learning_rate
    steps = max(config.learning_rate_nb_steps - config.nb_steps_warmup, 1)
    nb_updates = math.ceil(steps / config.train_interval * config.gradient_steps)
    return keras.optimizers.schedules.PolynomialDecay(config.learning_rate, nb_updates, config.learning_rate_end)
