"""What the presets for games need: a processor for Atari's screens, and the networks of two publications."""

from kerasrl.compat import keras_rl  # noqa: F401  # before the imports that it makes work

# isort: split

from typing import Any

import numpy as np
import rl.core
from keras import Input, Model
from keras.layers import Activation, Conv2D, Dense, Flatten, LayerNormalization, Permute, Rescaling, Reshape
from PIL import Image

from config import Config
from kerasrl.errors import UserError

SIZE = (84, 84)


class AtariProcessor(rl.core.Processor):
    """See the screen as 84 x 84 grey pixels and learn from the sign of the score (Mnih et al. 2015)."""

    def process_observation(self, observation: np.ndarray) -> np.ndarray:
        """Return a screen [height, width, 3] in bytes as [84, 84] in bytes."""
        return np.asarray(Image.fromarray(observation).convert("L").resize(SIZE, Image.Resampling.BILINEAR))

    def process_reward(self, reward: float) -> float:
        """Return the reward clipped to [-1, 1]."""
        return float(np.clip(reward, -1, 1))


def build_atari_network(state_size: tuple[int, ...], num_actions: int, config: Config) -> Model:
    """Return the network of Mnih et al. 2015 (Nature 518, Methods): frames [B, window_length, 84, 84] to Q-values.

    Raises:
        UserError: Observations are no grey images.
    """
    if not (isinstance(state_size, tuple) and len(state_size) == 2):
        cure = "--processor atari:AtariProcessor makes them from a screen"
        raise UserError(f"atari:build_atari_network takes grey images, not observations of size {state_size}; {cure}")
    input = Input((config.window_length, *state_size))
    x = Permute((2, 3, 1))(input)  # [B, 84, 84, window_length]
    x = Rescaling(1 / 255)(x)
    x = _hidden(config, x, Conv2D, 32, 8, strides=4)
    x = _hidden(config, x, Conv2D, 64, 4, strides=2)
    x = _hidden(config, x, Conv2D, 64, 3, strides=1)
    x = _hidden(config, Flatten()(x), Dense, 512)
    return Model(input, Dense(num_actions)(x))


def build_minatar_network(state_size: tuple[int, ...], num_actions: int, config: Config = Config()) -> Model:
    """Return the network of Young and Tian 2019 (MinAtar): boards [B, 1, 10, 10, channels] to Q-values.

    Raises:
        UserError: Observations are no boards.
    """
    if not (isinstance(state_size, tuple) and len(state_size) == 3):
        cure = "vectors need no --network"
        raise UserError(f"atari:build_minatar_network takes boards, not observations of size {state_size}; {cure}")
    input = Input((1, *state_size))
    x = _hidden(config, Reshape(state_size)(input), Conv2D, 16, 3)
    x = _hidden(config, Flatten()(x), Dense, 128)
    return Model(input, Dense(num_actions)(x))


def _hidden(config: Config, x: Any, layer: Any, *arguments: int, **options: int) -> Any:
    """Return a layer's outputs after relu, normalised before it if the configuration says so."""
    if config.layer_normalization:
        return Activation("relu")(LayerNormalization()(layer(*arguments, **options, use_bias=False)(x)))
    return layer(*arguments, **options, activation="relu")(x)
