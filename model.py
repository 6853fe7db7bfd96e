"""The Q-network and the agent of the tutorial."""

import inspect
import itertools
from dataclasses import asdict
from typing import Any, Literal

from kerasrl import DQNAgent, ExponentialAnnealedPolicy, SequentialMemory  # first: it lets Keras-RL import

# isort: split

import keras
import numpy as np
from keras import Input, Model
from keras.layers import Concatenate, Dense, Flatten
from keras.utils import set_random_seed as set_random_seed  # train.py calls it before it builds
from rl.core import Processor
from rl.policy import EpsGreedyQPolicy, LinearAnnealedPolicy

from config import Config
from kerasrl.compat.names import named
from kerasrl.environments import check_spaces
from kerasrl.environments.processors import OneHotProcessor
from kerasrl.errors import UserError

# Length of an observation, or its shape if it has more than one dimension; for a Dict, the shape of each part by key.
StateSize = int | tuple[int, ...] | dict[str, tuple[int, ...]]


def build_model(
    state_size: StateSize,
    num_actions: int,
    hidden_layers: tuple[int, ...] = Config.hidden_layers,
    window_length: int = Config.window_length,
    activation: str = Config.activation,
) -> Model:
    """Return the Q-network: states [B, window_length, state_size] to Q-values [B, num_actions].

    For a dictionary of sizes there is one input for each key; the flattened inputs are concatenated.
    """
    if isinstance(state_size, dict):
        inputs = [Input((window_length, *size), name=name) for name, size in state_size.items()]
        input, x = inputs, Concatenate()([Flatten()(part) for part in inputs])
    else:
        input = Input(shape=(window_length, *((state_size,) if isinstance(state_size, int) else state_size)))
        x = Flatten()(input)
    for nodes in hidden_layers:
        x = Dense(nodes, activation=activation)(x)
    output = Dense(num_actions, activation="linear")(x)
    return Model(inputs=input, outputs=output)


def build_network(state_size: StateSize, num_actions: int, config: Config) -> Model:
    """Return the network that `config` describes or names.

    Raises:
        UserError: There is no such network or activation.
    """
    if config.network:
        build = named(config.network)
        nb_parameters = len(inspect.signature(build).parameters)
        if nb_parameters not in (2, 3):
            raise UserError(f"{config.network} must take state_size, num_actions and, optionally, config")
        size = state_size[0] if isinstance(state_size, tuple) and len(state_size) == 1 else state_size
        model = build(size, num_actions, *([config] if nb_parameters == 3 else []))
        if not isinstance(model, Model) or model.output_shape != (None, num_actions):
            shown = f"one with outputs {model.output_shape}" if isinstance(model, Model) else repr(model)
            raise UserError(f"{config.network} must return a Keras model with {num_actions} outputs, not {shown}")
        return model
    try:
        keras.activations.get(config.activation)
    except ValueError:
        raise UserError(f"activation {config.activation} is unknown to Keras; relu, tanh and elu are common") from None
    return build_model(state_size, num_actions, config.hidden_layers, config.window_length, config.activation)


def nb_weights(state_size: StateSize, num_actions: int, config: Config) -> int:
    """Return how many weights, without biases, the network has that `build_model` makes, before it takes any memory."""
    sizes = list(state_size.values()) if isinstance(state_size, dict) else [state_size]
    inputs = config.window_length * sum(int(np.prod(size)) for size in sizes)
    widths = [inputs, *config.hidden_layers, num_actions]
    return sum(nodes * following for nodes, following in itertools.pairwise(widths))


def observed(env: Any, config: Config) -> tuple[StateSize, int, Any]:
    """Return what a network sees of `env`: size of an observation, number of actions, and the processor between them.

    Raises:
        UserError: A space is not supported, or the processor cannot be made.
    """
    size, num_actions = check_spaces(env)
    space, processor = env.observation_space, None
    if config.processor:
        processor, tried = (_processor(config.processor) for _ in range(2))  # one only to try out: it may keep state
        seen = tried.process_observation(space.sample())
        size = {key: np.shape(part) for key, part in seen.items()} if isinstance(seen, dict) else np.shape(seen)
    elif OneHotProcessor.is_needed(space):
        processor = OneHotProcessor(space)
    return size, num_actions, processor


def _processor(name: str) -> Processor:
    try:
        processor = named(name)()
    except TypeError as error:
        raise UserError(f"{name} must be a class that needs no arguments: {error}") from None
    if not isinstance(processor, Processor):
        raise UserError(f"{name} must be a subclass of rl.core.Processor")
    return processor


def build_agent(
    model: Model,
    num_actions: int,
    config: Config = Config(),
    processor: Any = None,
    jit_compile: bool | Literal["auto"] = "auto",
) -> DQNAgent:
    """Return the compiled agent: replay memory, exploration policy, DQN."""
    memory = SequentialMemory(limit=config.memory_limit, window_length=config.window_length)
    eps: dict[str, Any] = {"value_max": config.eps_max, "value_min": config.eps_min, "value_test": config.eps_test}
    if config.eps_schedule == "linear":
        policy = LinearAnnealedPolicy(EpsGreedyQPolicy(), attr="eps", nb_steps=config.eps_nb_steps, **eps)
    else:
        policy = ExponentialAnnealedPolicy(EpsGreedyQPolicy(), attr="eps", rate=config.eps_rate, **eps)
    dqn = DQNAgent(
        model=model,
        nb_actions=num_actions,
        memory=memory,
        processor=processor,
        gamma=config.gamma,
        batch_size=config.batch_size,
        nb_steps_warmup=config.nb_steps_warmup,
        train_interval=config.train_interval,
        gradient_steps=config.gradient_steps,
        target_model_update=config.target_model_update,
        delta_clip=config.delta_clip,
        enable_double_dqn=config.enable_double_dqn,
        enable_dueling_network=config.enable_dueling_network,
        dueling_type=config.dueling_type,
        policy=policy,
        metadata=asdict(config),
    )
    optimizer = keras.optimizers.get(config.optimizer)
    optimizer.learning_rate = config.learning_rate
    optimizer.global_clipnorm = config.global_clipnorm if config.global_clipnorm < float("inf") else None
    dqn.compile(optimizer, metrics=["mae"], jit_compile=jit_compile)
    return dqn
