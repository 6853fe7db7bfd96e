"""The output of a small dense network for one state, without a TensorFlow call.

However small the network is, a call takes 25 to 60 microseconds, NumPy takes 8. Between bursts of updates, in
evaluations and in tests a network is asked about a single state at every step.

The values have to be the call's, to the last bit. Whether they are depends on the order in which the two libraries add
numbers up on this processor, which is the same for all numbers: where this was measured they agree for layers of up to
32 nodes, but not for 48. So `agrees` compares them on random states before the first is used.
"""

import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

_NB_STATES = 64  # to compare


class DenseNetwork:
    """A copy in NumPy of a model that consists of dense layers, one after the other.

    Args:
        layers: Each layer's kernel [inputs, outputs], its bias [outputs] or None, and whether a relu follows.
    """

    def __init__(self, layers: list[tuple[np.ndarray, np.ndarray | None, bool]]) -> None:
        self._layers = layers

    @classmethod
    def of(cls, model: Any, weights: np.ndarray) -> "DenseNetwork | None":
        """Return the network of a Keras model with one input, None if it has layers of other kinds.

        Args:
            model: The model.
            weights: All its trainable weights in one vector [nb_weights], of which the network keeps views.
        """
        layers: list[tuple[np.ndarray, np.ndarray | None, bool]] = []
        start = 0
        for layer in model.layers:
            activation = getattr(layer, "activation", None)
            if type(layer) in (keras.layers.InputLayer, keras.layers.Flatten):
                continue
            if activation not in (keras.activations.relu, keras.activations.linear) or not layer.trainable:
                return None
            is_relu = activation is keras.activations.relu
            if type(layer) is keras.layers.Activation and layers:
                layers[-1] = (*layers[-1][:2], is_relu or layers[-1][2])
                continue
            if type(layer) is not keras.layers.Dense or layer.dtype_policy.name != "float32":
                return None
            arrays: list[np.ndarray] = []
            for variable in layer.trainable_variables:
                size = int(np.prod(variable.shape))
                arrays.append(weights[start : start + size].reshape(variable.shape))
                start += size
            layers.append((arrays[0], arrays[1] if layer.use_bias else None, is_relu))
        return cls(layers) if layers and start == len(weights) else None

    def output(self, state: np.ndarray) -> np.ndarray:
        """Return the output [1, nodes] for a state [1, W, *part]."""
        x = state.ravel().astype(np.float32, copy=False)
        with np.errstate(all="ignore"):  # as TensorFlow does; a loss that is not finite ends a training
            for kernel, bias, is_relu in self._layers:
                x = x @ kernel
                if bias is not None:
                    x += bias
                if is_relu:
                    np.maximum(x, 0.0, out=x)
        return x[None]

    def agrees(self, other: Callable[[np.ndarray], np.ndarray], shape: tuple[int, ...]) -> bool:
        """Return whether the output for random states of a shape [1, W, *part] is `other`'s, to the last bit."""
        if math.prod(shape) != len(self._layers[0][0]):  # a layer is applied to parts of the state
            return False
        rng = np.random.default_rng(0)
        states = rng.standard_normal((_NB_STATES, *shape)) * 10.0 ** rng.integers(-2, 3, (_NB_STATES, *shape))
        return all(np.array_equal(other(s), self.output(s)) for s in states.astype(np.float32))


class OutputOfOne:
    """The output for one state: from NumPy where it agrees with the call, from the call elsewhere.

    Args:
        model: Keras model with one input.
        variable: All its trainable weights in one float32 vector [nb_weights].
        call: Returns the output [1, nodes] for a state [1, W, *part].
    """

    def __init__(self, model: Any, variable: keras.Variable, call: Callable[[np.ndarray], np.ndarray]) -> None:
        self.is_behind = True  # whether the variable may have changed since it was copied
        self._model, self._variable, self._call = model, variable, call
        self._weights = np.zeros(variable.shape, np.float32)
        self._networks: dict[tuple[int, ...], DenseNetwork | None] = {}  # by the shape of a state

    def __call__(self, state: np.ndarray) -> np.ndarray:
        """Return the output [1, nodes] for a state [1, W, *part] of float32."""
        if self.is_behind:
            # The variable's own numpy() takes 35 microseconds, this 10.
            value = tf.raw_ops.ReadVariableOp(resource=self._variable.value.handle, dtype=tf.float32)
            np.copyto(self._weights, value.numpy())
            self.is_behind = False
        if state.shape not in self._networks:
            network = DenseNetwork.of(self._model, self._weights)
            self._networks[state.shape] = network if network and network.agrees(self._call, state.shape) else None
        network = self._networks[state.shape]
        return network.output(state) if network else self._call(state)
