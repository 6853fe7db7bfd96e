"""The Q-network and the agent of the tutorial."""

import inspect
import itertools
import math
import warnings
from dataclasses import asdict
from typing import Any, Literal

from kerasrl import (  # first: it lets Keras-RL import
    DQNAgent,
    ExponentialAnnealedPolicy,
    PrioritizedMemory,
    SequentialMemory,
)

# isort: split

import keras
import numpy as np
from keras import Input, Model
from keras.layers import Activation, Concatenate, Dense, Flatten, LayerNormalization
from keras.utils import set_random_seed as set_random_seed  # train.py calls it before it builds
from rl.core import Processor
from rl.policy import EpsGreedyQPolicy, LinearAnnealedPolicy

from config import Config
from kerasrl.compat.names import named
from kerasrl.environments import check_spaces
from kerasrl.environments.processors import OneHotProcessor
from kerasrl.errors import Note, UserError
from objects import copied

# Length of an observation, or its shape if it has more than one dimension; for a Dict, the shape of each part by key.
StateSize = int | tuple[int, ...] | dict[str, tuple[int, ...]]


def build_model(
    state_size: StateSize,
    num_actions: int,
    hidden_layers: tuple[int, ...] = Config.hidden_layers,
    window_length: int = Config.window_length,
    activation: str = Config.activation,
    layer_normalization: bool = Config.layer_normalization,
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
        if layer_normalization:
            x = Activation(activation)(LayerNormalization()(Dense(nodes, use_bias=False)(x)))
        else:
            x = Dense(nodes, activation=activation)(x)
    output = Dense(num_actions, activation="linear")(x)
    return Model(inputs=input, outputs=output)


def build_network(state_size: StateSize, num_actions: int, config: Config, given: Any = None) -> Model:
    """Return the network that is given, or else the one that `config` describes or names.

    Raises:
        UserError: There is no such network or activation.
    """
    if isinstance(given, Model):
        return _fitting(given, num_actions, "model must be")
    if given is not None and not callable(given):
        raise UserError(f"model must be a Keras model or a function that builds one, is {given!r}")
    if given is not None:
        return _built(given, "model", state_size, num_actions, config)
    if config.network:
        return _built(named(config.network), config.network, state_size, num_actions, config)
    try:
        keras.activations.get(config.activation)
    except ValueError:
        raise UserError(f"activation {config.activation} is unknown to Keras; relu, tanh and elu are common") from None
    return build_model(
        state_size,
        num_actions,
        config.hidden_layers,
        config.window_length,
        config.activation,
        config.layer_normalization,
    )


def nb_weights(state_size: StateSize, num_actions: int, config: Config) -> int:
    """Return how many weights, without biases, the network has that `build_model` makes, before it takes any memory."""
    sizes = list(state_size.values()) if isinstance(state_size, dict) else [state_size]
    inputs = config.window_length * sum(int(np.prod(size)) for size in sizes)
    widths = [inputs, *config.hidden_layers, num_actions]
    return sum(nodes * following for nodes, following in itertools.pairwise(widths))


def warn_of(config: Config, state_size: StateSize, given: Any = None) -> None:
    """Issue a `Note` for each setting that works but is hardly meant."""
    if config.batch_size > config.memory_limit:
        warnings.warn(
            f"batch_size {config.batch_size} is above memory_limit {config.memory_limit}: each batch holds "
            "transitions several times, as in Keras-RL",
            Note,
            stacklevel=2,
        )
    if config.network or given is not None:  # the network is the user's own
        return
    if not config.hidden_layers:
        warnings.warn("hidden_layers has no numbers: the network is linear", Note, stacklevel=2)
    shapes = state_size.values() if isinstance(state_size, dict) else [state_size]
    for shape in shapes:
        if isinstance(shape, tuple) and len(shape) == 3:
            small = "--network atari:build_minatar_network"
            large = "--processor atari:AtariProcessor --network atari:build_atari_network --window-length 4"
            warnings.warn(
                f"images of {' x '.join(map(str, shape))} go into a dense network, which hardly learns from them; a "
                f"convolutional one: {small if max(shape) < 36 else large}",
                Note,
                stacklevel=2,
            )


def _built(build: Any, name: str, state_size: StateSize, num_actions: int, config: Config) -> Model:
    if inspect.isbuiltin(build):
        raise UserError(f"{name} must be a function of yours that builds a Keras model")
    parameters = inspect.signature(build).parameters
    needed = [parameter for parameter in parameters.values() if parameter.default is parameter.empty]
    if len(needed) not in (2, 3):
        raise UserError(f"{name} must take state_size, num_actions and, optionally, config")
    takes_config = len(needed) == 3 or list(parameters)[2:3] == ["config"]
    size = state_size[0] if isinstance(state_size, tuple) and len(state_size) == 1 else state_size
    model = build(size, num_actions, *([config] if takes_config else []))
    return _fitting(model, num_actions, f"{name} must return")


def _fitting(model: Any, num_actions: int, what_must: str) -> Model:
    if not isinstance(model, Model) or model.output_shape != (None, num_actions):
        shown = f"one with outputs {model.output_shape}" if isinstance(model, Model) else repr(model)
        raise UserError(f"{what_must} a Keras model with {num_actions} outputs, not {shown}")
    return model


def observed(env: Any, config: Config, given: Any = None) -> tuple[StateSize, int, Any]:
    """Return what a network sees of `env`: size of an observation, number of actions, and the processor between them.

    The processor is the one that is given, or else the one that `config` names or the observations need.

    Raises:
        UserError: A space is not supported, or the processor cannot be made.
    """
    size, num_actions = check_spaces(env)
    space, processor = env.observation_space, None
    if given is not None and not isinstance(given, Processor):
        raise UserError(f"processor must be an object of a subclass of rl.core.Processor, is {given!r}")
    if given is not None or config.processor:
        processor = given if given is not None else _processor(config.processor)
        tried = copied(given) if given is not None else _processor(config.processor)  # another: it may keep state
        seen = tried.process_observation(space.sample())
        size = {key: np.shape(part) for key, part in seen.items()} if isinstance(seen, dict) else np.shape(seen)
    elif OneHotProcessor.is_needed(space):
        processor = OneHotProcessor(space)
    return size, num_actions, processor


def _processor(name: str) -> Processor:
    kind = named(name)
    if not (isinstance(kind, type) and issubclass(kind, Processor)):
        raise UserError(f"{name} must be a subclass of rl.core.Processor")
    try:
        return kind()
    except TypeError as error:
        raise UserError(f"{name} must be a class that needs no arguments: {error}") from None


def build_agent(
    model: Model,
    num_actions: int,
    config: Config = Config(),
    processor: Any = None,
    jit_compile: bool | Literal["auto"] = "auto",
) -> DQNAgent:
    """Return the compiled agent: replay memory, exploration policy, DQN."""
    size = {"limit": config.memory_limit, "window_length": config.window_length}
    if config.memory == "sequential":
        memory = SequentialMemory(**size)
    else:
        memory = PrioritizedMemory(
            **size,
            alpha=config.priority_alpha,
            beta=config.priority_beta,
            beta_end=config.priority_beta_end,
            nb_steps_annealed=config.priority_nb_steps,
            epsilon=config.priority_epsilon,
        )
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
        n_step=config.n_step,
        target_model_update=config.target_model_update,
        delta_clip=config.delta_clip,
        enable_double_dqn=config.enable_double_dqn,
        enable_dueling_network=config.enable_dueling_network,
        dueling_type=config.dueling_type,
        policy=policy,
        metadata=asdict(config),
    )
    optimizer = keras.optimizers.get(config.optimizer)
    optimizer.learning_rate = _learning_rate(config)
    optimizer.global_clipnorm = config.global_clipnorm if config.global_clipnorm < float("inf") else None
    dqn.compile(optimizer, metrics=["mae"], jit_compile=jit_compile)
    return dqn


def _learning_rate(config: Config) -> Any:
    """Return the learning rate or, if it falls, its Keras schedule.

    A schedule counts updates. Keras-RL has one more after the last step of an episode, so it ends a little early.
    """
    if not config.learning_rate_nb_steps:
        return config.learning_rate
    steps = max(config.learning_rate_nb_steps - config.nb_steps_warmup, 1)
    nb_updates = math.ceil(steps / config.train_interval * config.gradient_steps)
    return keras.optimizers.schedules.PolynomialDecay(config.learning_rate, nb_updates, config.learning_rate_end)
