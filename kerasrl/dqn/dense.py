"""Q-values of one state by a small dense network, without a TensorFlow call.

A call takes 25 to 60 microseconds however small the network is, NumPy 8. Between bursts of updates, in evaluations and
in tests a network is asked for the Q-values of one state at every step.

The values have to be those of the call, to the last bit. Whether they are depends on the order in which both libraries
add up on this processor, which does not depend on the numbers: on the one where this was measured it is the same for
layers of up to 32 nodes, not for 48. So `agrees` compares both on random states before the first is used.
"""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

_NB_STATES = 64  # that are compared


class DenseNetwork:
    """A copy in NumPy of a model made of dense layers, one after the other.

    Args:
        layers: Kernel [inputs, outputs], bias [outputs] or None, and whether a relu follows, of each layer.
    """

    def __init__(self, layers: list[tuple[np.ndarray, np.ndarray | None, bool]]) -> None:
        self._layers = layers

    @classmethod
    def of(cls, model: Any, weights: np.ndarray) -> "DenseNetwork | None":
        """Return the network of a Keras model, None if it has layers of other kinds.

        Args:
            model: Keras model with one input.
            weights: All trainable weights, one after the other [nb_weights]; what is written into it later counts.
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

    def q_values(self, state: np.ndarray) -> np.ndarray:
        """Return the Q-values [1, nb_actions] of one state, an array [1, W, *part]."""
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
        """Tell whether both have the same Q-values of random states, to the last bit.

        Args:
            other: Returns the Q-values [1, nb_actions] of a state.
            shape: Of a state, [1, W, *part].
        """
        rng = np.random.default_rng(0)
        states = rng.standard_normal((_NB_STATES, *shape)) * 10.0 ** rng.integers(-2, 3, (_NB_STATES, *shape))
        return all(np.array_equal(other(s), self.q_values(s)) for s in states.astype(np.float32))


class QValuesOfOne:
    """Q-values of one state: from NumPy where they are those of the call, from the call elsewhere.

    Args:
        model: Keras model with one input.
        variable: All its trainable weights, one after the other, in a variable of float32 [nb_weights].
        call: Returns the Q-values [1, nb_actions] of a state, an array [1, W, *part].
    """

    def __init__(self, model: Any, variable: keras.Variable, call: Callable[[np.ndarray], np.ndarray]) -> None:
        self.is_behind = True  # whether the variable may have changed since it was copied
        self._model, self._variable, self._call = model, variable, call
        self._weights = np.zeros(variable.shape, np.float32)
        self._networks: dict[tuple[int, ...], DenseNetwork | None] = {}  # by the shape of a state

    def __call__(self, state: np.ndarray) -> np.ndarray:
        """Return the Q-values [1, nb_actions] of a state, an array [1, W, *part] of float32."""
        if self.is_behind:
            # The variable's own numpy() takes 35 microseconds, this 10.
            value = tf.raw_ops.ReadVariableOp(resource=self._variable.value.handle, dtype=tf.float32)
            np.copyto(self._weights, value.numpy())
            self.is_behind = False
        if state.shape not in self._networks:
            network = DenseNetwork.of(self._model, self._weights)
            self._networks[state.shape] = network if network and network.agrees(self._call, state.shape) else None
        network = self._networks[state.shape]
        return network.q_values(state) if network else self._call(state)
