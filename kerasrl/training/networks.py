"""Networks besides the recipe's: two published ones for games, and those that people bring."""

from kerasrl.compat import keras_rl  # noqa: F401  # before the imports that it makes possible

# isort: split

import inspect
import warnings
from typing import Any, TypeAlias

import keras
import numpy as np
from keras import Input, Model
from keras.layers import Activation, Conv2D, Dense, Flatten, LayerNormalization, Permute, Rescaling, Reshape

from kerasrl.config import AnyConfig, Config
from kerasrl.config.agents import AGENTS, listed
from kerasrl.errors import Note, UserError, require_keras_3
from kerasrl.named import named
from kerasrl.phrases import to_give, to_type

# An observation's length, or its shape if it has several dimensions; for a Dict, the shape of each part by key.
StateSize: TypeAlias = int | tuple[int, ...] | dict[str, tuple[int, ...]]

_SCREEN, _SMALL_SCREEN, _BOARD = 36, 8, 3  # the sides, at least, of what the convolutions below take


def own_network(state_size: StateSize, num_actions: int, config: AnyConfig, given: Any = None) -> Any:
    """Return the network given or that `config` names, None if neither; raises `UserError` if it cannot be used.

    For an agent with several, it is a tuple of them.
    """
    require_keras_3(given, "model")
    if isinstance(given, Model | tuple | list):
        return _fitting(given, num_actions, "model must be", config)
    if given is not None and not callable(given):
        raise UserError(f"model must be a Keras model or a function that builds one, not {given!r}")
    if given is not None:
        return _built(given, "model", state_size, num_actions, config)
    if config.network:
        return _built(named(config.network), config.network, state_size, num_actions, config)
    return None


def require_activation(name: str) -> None:
    """Raise `UserError` if Keras does not know an activation."""
    try:
        keras.activations.get(name)
    except ValueError:
        raise UserError(f"activation {name} is unknown to Keras; relu, tanh and elu are common") from None


def warn_of(config: AnyConfig, state_size: StateSize, given: Any = None, space: Any = None) -> None:
    """Issue a `Note` for each setting that works but is probably a mistake.

    Args:
        config: Settings.
        state_size: Size of an observation.
        given: The user's own network.
        space: The environment's observation space, None if a processor comes between it and the network.
    """
    known = vars(config)
    if "memory_limit" in known and known["batch_size"] > known["memory_limit"]:
        warnings.warn(
            f"batch_size {known['batch_size']} is above memory_limit {known['memory_limit']}: each batch repeats "
            "transitions, as in Keras-RL",
            Note,
            stacklevel=2,
        )
    if config.network or config.recipe or given is not None:  # the network is the user's own
        return
    if not config.hidden_layers and type(config).hidden_layers:
        warnings.warn("hidden_layers is empty: the network is linear", Note, stacklevel=2)
    for shape in state_size.values() if isinstance(state_size, dict) else [state_size]:
        instead = _instead_of_dense(shape, config, space, isinstance(state_size, dict))
        if instead is not None:
            size = " x ".join(map(str, shape))  # type: ignore[arg-type]
            warnings.warn(f"images of {size} go into a dense network{instead}", Note, stacklevel=2)


def _instead_of_dense(shape: Any, config: AnyConfig, space: Any, is_part: bool) -> str | None:
    """Return what to say of observations, or parts of them, that are images, None if they are not."""
    if not isinstance(shape, tuple) or len(shape) not in (2, 3):
        return None
    window_length = vars(config).get("window_length", 1)
    own = _settings(config, network="module:function")
    is_single = len(AGENTS[config.agent].networks) == 1  # those of games are no actor, and no critic
    if max(shape) < _SCREEN:  # a board, from which a dense network may learn well
        is_last = len(shape) == 3 and not shape[0] < shape[1] == shape[2]  # the axis of the channels
        if not is_last or min(shape[:2]) < _BOARD or window_length > 1 or is_part:
            return None
        of_minatar = _settings(config, network="atari:build_minatar_network")
        return f"; a convolutional one may learn more from them: {of_minatar if is_single else own}"
    in_bytes = space is not None and space.dtype == np.uint8
    if sorted(shape)[-2] < _SCREEN or (len(shape) == 2 and not in_bytes):  # a table
        return None
    little, is_screen = ", which learns little from them", in_bytes and len(shape) == 3 and shape[2] == 3
    if is_part or not (is_screen or len(shape) == 2) or not is_single or "window_length" not in vars(config):
        return f"{little}: build a convolutional one, {own}"
    window = {"window_length": 4} if window_length == 1 else {}
    processor = {"processor": "atari:AtariProcessor"} if is_screen else {}
    settings = _settings(config, **processor, network="atari:build_atari_network", **window)
    return f"{little}; for a convolutional one: {settings}"


def _settings(config: AnyConfig, **settings: Any) -> str:
    given = to_give(**settings)
    return to_type(given, f"{type(config).__name__}({given})")


def _own(config: AnyConfig) -> str:
    return f"for them, name a network of your own: {_settings(config, network='module:function')}"


def _built(build: Any, name: str, state_size: StateSize, num_actions: int, config: AnyConfig) -> Any:
    if inspect.isbuiltin(build):
        raise UserError(f"{name} must be a function of yours that builds a Keras model")
    parameters = inspect.signature(build).parameters
    needed = [parameter for parameter in parameters.values() if parameter.default is parameter.empty]
    if len(needed) not in (2, 3):
        raise UserError(f"{name} must take state_size, num_actions and, optionally, config")
    takes_config = len(needed) == 3 or list(parameters)[2:3] == ["config"]
    size = state_size[0] if isinstance(state_size, tuple) and len(state_size) == 1 else state_size
    model = build(size, num_actions, *([config] if takes_config else []))
    return _fitting(model, num_actions, f"{name} must return", config)


def _fitting(model: Any, num_actions: int, what_must: str, config: AnyConfig) -> Any:
    names = AGENTS[config.agent].networks
    if len(names) > 1:
        if not isinstance(model, tuple | list) or len(model) != len(names):
            raise UserError(f"{what_must} {listed(names, 'and')} for {config.agent.upper()}, not {model!r:.200}")
        for part in model:
            require_keras_3(part, "model")
        for name, part in zip(names, model, strict=True):
            wanted = keras.KerasTensor if name.endswith("_input") else Model
            if not isinstance(part, wanted):
                what = "an input, keras.Input(...)" if wanted is not Model else "a Keras model"
                raise UserError(
                    f"{what_must} {listed(names, 'and')} for {config.agent.upper()}, but what stands for {name} is not "
                    f"{what}: {part!r:.100}"
                )
        return tuple(model)
    require_keras_3(model, "model")
    if not isinstance(model, Model) or model.output_shape != (None, num_actions):
        shown = f"one with outputs {model.output_shape}" if isinstance(model, Model) else repr(model)
        raise UserError(f"{what_must} a Keras model with {num_actions} outputs, not {shown}")
    return model


def build_atari_network(state_size: tuple[int, ...], num_actions: int, config: AnyConfig) -> Model:
    """Return the network of Mnih et al. 2015 (Nature 518, Methods): frames [B, window_length, 84, 84] to Q-values.

    Raises:
        UserError: Observations are not grey images, or too small ones.
    """
    input = _screens("build_atari_network", state_size, _SCREEN, "AtariProcessor", config)
    x = Permute((2, 3, 1))(input)  # [B, 84, 84, window_length]
    x = Rescaling(1 / 255)(x)
    x = _hidden(config, x, Conv2D, 32, 8, strides=4)
    x = _hidden(config, x, Conv2D, 64, 4, strides=2)
    x = _hidden(config, x, Conv2D, 64, 3, strides=1)
    x = _hidden(config, Flatten()(x), Dense, 512)
    return Model(input, Dense(num_actions)(x))


def build_small_atari_network(state_size: tuple[int, ...], num_actions: int, config: AnyConfig) -> Model:
    """Return a network for small pictures and machines: frames [B, window_length, 42, 40] to Q-values.

    Its convolutions do not overlap, which makes them cheap. They see the pixels of a state less their mean, in standard
    deviations: what moves in a game is small and hardly brighter than its background, and is learned sooner this way
    (figures: benchmarks/learning_notes.md).

    Raises:
        UserError: Observations are not grey images, or too small ones.
    """
    input = _screens("build_small_atari_network", state_size, _SMALL_SCREEN, "SmallAtariProcessor", config)
    x = Permute((2, 3, 1))(input)  # [B, 42, 40, window_length]
    x = LayerNormalization(axis=(1, 2, 3), center=False, scale=False)(x)
    x = _hidden(config, x, Conv2D, 16, 4, strides=4)
    x = _hidden(config, x, Conv2D, 32, 2, strides=2)
    x = _hidden(config, Flatten()(x), Dense, 256)
    return Model(input, Dense(num_actions)(x))


def _screens(network: str, size: tuple[int, ...], least: int, processor: str, config: AnyConfig) -> Any:
    """Return an input of grey images [B, window_length, height, width]; `UserError` if `size` is not theirs."""
    if not (isinstance(size, tuple) and len(size) == 2 and min(size) >= least):
        is_screen = isinstance(size, tuple) and len(size) == 3 and size[2] == 3
        made = {"processor": f"atari:{processor}"}
        raise UserError(
            f"atari:{network} takes grey images of {least} x {least} or more, not observations of size {size}; "
            f"{_settings(config, **made) + ' makes them from a screen' if is_screen else _own(config)}"
        )
    return Input((vars(config).get("window_length", 1), *size))


def build_minatar_network(state_size: tuple[int, ...], num_actions: int, config: AnyConfig = Config()) -> Model:
    """Return the network of Young and Tian 2019 (MinAtar): boards [B, 1, 10, 10, channels] to Q-values.

    Raises:
        UserError: Observations are not boards, or too small ones.
    """
    if not (isinstance(state_size, tuple) and len(state_size) == 3 and min(state_size[:2]) >= _BOARD):
        is_vector = isinstance(state_size, int) or (isinstance(state_size, tuple) and len(state_size) == 1)
        raise UserError(
            f"atari:build_minatar_network takes boards of {_BOARD} x {_BOARD} or more with channels last, not "
            f"observations of size {state_size}; {'vectors need no network' if is_vector else _own(config)}"
        )
    input = Input((1, *state_size))
    x = _hidden(config, Reshape(state_size)(input), Conv2D, 16, 3)
    x = _hidden(config, Flatten()(x), Dense, 128)
    return Model(input, Dense(num_actions)(x))


def _hidden(config: AnyConfig, x: Any, layer: Any, *arguments: int, **options: int) -> Any:
    if config.layer_normalization:
        return Activation("relu")(LayerNormalization()(layer(*arguments, **options, use_bias=False)(x)))
    return layer(*arguments, **options, activation="relu")(x)
