"""A network that normalises observations itself, for programs that know nothing of a training's statistics."""

from kerasrl.compat import keras_rl  # noqa: F401  # before the imports that it makes possible

# isort: split

from typing import Any

import keras
import numpy as np

from kerasrl.environments.normalizing import CLIP, Normalizer, Statistics
from kerasrl.tools.export.formats import without_own_layers


def normalizing(model: Any, normalizer: Normalizer | None) -> Any:
    """Return a Keras model for states as the environment gives them, of one for normalised states.

    Args:
        model: Its inputs [B, W, *part] are named after the parts of an observation, if they have names.
        normalizer: The statistics, None if the states are not normalised: the model itself is returned.
    """
    if normalizer is None:
        return model
    model = without_own_layers(model)
    inputs = [keras.Input(batch_shape=t.shape, dtype=t.dtype, name=t.name) for t in model.inputs]
    names = sorted(model.input) if isinstance(model.input, dict) else [tensor.name for tensor in model.inputs]
    keys = normalizer.keys or names  # parts without keys come in the order of the inputs
    of_input = [normalizer.statistics[keys.index(name)] for name in names]
    normalized = [x if own is None else _normalized(x, own) for x, own in zip(inputs, of_input, strict=True)]
    given = keras.tree.pack_sequence_as(model.input, inputs)
    return keras.Model(given, model(keras.tree.pack_sequence_as(model.input, normalized)))


def _normalized(x: Any, own: Statistics) -> Any:
    """Return what `Statistics.normalized` returns, in layers that all formats know.

    A mean has 64 bits. Networks have 32: they subtract what these hold of it first, and the rest, scaled, last.
    """
    first = own.mean.astype(np.float32).astype(np.float64)
    rest = (first - own.mean) * own.scale
    x = keras.layers.Rescaling(1.0, (-first).tolist())(x)
    x = keras.layers.Rescaling(own.scale.tolist(), rest.tolist())(x)
    return keras.ops.clip(x, -CLIP, CLIP)
