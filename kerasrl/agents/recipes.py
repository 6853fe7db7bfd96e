"""What the agents' recipes share: layers, learning rate, replay memory, noise."""

from kerasrl.compat import keras_rl  # noqa: F401  # before the imports that it makes possible

# isort: split

import math
from typing import Any

import keras
import numpy as np
from keras import Input
from keras.layers import Activation, Concatenate, Dense, Flatten, LayerNormalization, Rescaling
from keras.regularizers import L2
from rl.random import GaussianWhiteNoiseProcess, OrnsteinUhlenbeckProcess

from kerasrl.replay import PrioritizedMemory, SequentialMemory


def state_inputs(state_size: Any, window_length: int = 1) -> tuple[list[Any], Any]:
    """Return the inputs for states, one for each part of a Dict, and all of their numbers in one vector [B, n].

    Args:
        state_size: An observation's length or shape; for a Dict observation, the shape of each part.
        window_length: Observations in a state.
    """
    if not isinstance(state_size, dict):
        input = Input((window_length, *((state_size,) if isinstance(state_size, int) else state_size)))
        return [input], Flatten()(input)
    inputs = [Input((window_length, *size), name=name) for name, size in state_size.items()]
    return inputs, Concatenate()([Flatten()(input) for input in inputs])


def hidden(x: Any, nodes: tuple[int, ...], config: Any) -> Any:
    """Return what hidden layers of these numbers of nodes make of x [B, n]."""
    for number in nodes:
        if config.layer_normalization:
            x = Activation(config.activation)(LayerNormalization()(Dense(number, use_bias=False)(x)))
        else:
            x = Dense(number, activation=config.activation)(x)
    return x


def half_range_and_centre(bounds: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray] | None:
    """Return half the range and the centre of each number in a continuous action; None if any of them has no bounds."""
    low, high = (np.ravel(bound).astype(float) for bound in bounds)
    return ((high - low) / 2, (high + low) / 2) if np.isfinite(high - low).all() else None


def action_output(x: Any, num_actions: int, bounds: tuple[np.ndarray, np.ndarray], action_l2: float = 0.0) -> Any:
    """Return actions [B, num_actions] between their bounds: tanh, times half the range, plus the centre.

    Where there are no bounds, the output is linear. `action_l2` times the sum of a state's squares, before they are
    scaled, is added to the loss in training.
    """
    known = half_range_and_centre(bounds)
    activation = None if known is None else "tanh"
    penalty = L2(action_l2) if action_l2 else None
    actions = Dense(num_actions, activation=activation, activity_regularizer=penalty)(x)
    if known is None:
        return actions
    half_range, centre = known
    return Rescaling(half_range.tolist(), centre.tolist())(actions)


def build_optimizer(config: Any, learning_rate: float, nb_steps_warmup: int) -> Any:
    """Return the optimizer that the settings name; its learning rate falls if they say so.

    A schedule counts updates. Keras-RL makes an extra one after the last step of an episode, so it ends a little early.
    """
    optimizer = keras.optimizers.get(config.optimizer)
    optimizer.learning_rate = learning_rate
    if config.learning_rate_nb_steps:
        steps = max(config.learning_rate_nb_steps - nb_steps_warmup, 1)
        nb_updates = math.ceil(steps / config.train_interval * vars(config).get("gradient_steps", 1))
        optimizer.learning_rate = keras.optimizers.schedules.PolynomialDecay(
            learning_rate, nb_updates, config.learning_rate_end
        )
    for clip in ("clipnorm", "global_clipnorm"):
        if vars(config).get(clip, math.inf) < math.inf:
            setattr(optimizer, clip, getattr(config, clip))
    return optimizer


def build_memory(config: Any) -> SequentialMemory:
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


class _Scaled:
    """A random process whose noise has a size of its own for each number in an action."""

    scale: Any = 1.0

    def sample(self) -> Any:
        return self.scale * super().sample()  # type: ignore[misc]


class GaussianNoise(_Scaled, GaussianWhiteNoiseProcess):
    """Noise that is independent in each step, times `scale`."""


class DriftingNoise(_Scaled, OrnsteinUhlenbeckProcess):
    """Noise that drifts, times `scale`."""


def build_noise(config: Any, num_actions: int, bounds: tuple[np.ndarray, np.ndarray]) -> Any:
    """Return the random process whose noise is added to actions, None for none.

    Its size is relative to half the range of each number in an action, or 1 if there are no bounds.
    """
    if config.random_process == "none":
        return None
    how = {"sigma": config.noise_sigma, "size": num_actions}
    if config.noise_nb_steps:
        how |= {"sigma_min": config.noise_sigma_min, "n_steps_annealing": config.noise_nb_steps}
    if config.random_process == "gaussian":
        noise = GaussianNoise(**how)
    else:
        noise = DriftingNoise(config.noise_theta, dt=config.noise_dt, **how)
    known = half_range_and_centre(bounds)
    noise.scale = 1.0 if known is None else known[0]
    return noise
