"""The layer that makes an advantage, quadratic in the action, of a network's outputs."""

from typing import Any

import keras
import numpy as np
import rl.agents.dqn
from keras import ops

from kerasrl.errors import UserError

MODES = ("full", "diag")


@keras.saving.register_keras_serializable(package="kerasrl")
class NAFLayer(rl.agents.dqn.NAFLayer):
    """A(s, a) = -1/2 (a - mu)' P (a - mu) (Gu et al. 2016, arXiv 1603.00748, equations 10 and 11).

    Inputs: L [B, nb_elements], mu and a, both [B, nb_actions]; output [B, 1]. With the mode 'full' the elements are the
    rows of a lower triangular matrix, one after the other, (nb_actions + 1) * nb_actions / 2 of them, whose diagonal is
    made positive by exp(), and P is that matrix times its transpose. With 'diag' the elements are P's diagonal, as they
    are; as in Keras-RL nothing keeps them positive, so that A has no maximum where one is negative: end the model of L
    with an activation such as 'softplus'.

    Keras-RL's layer scans over the batch with functions that Keras 3 does not have. This one places the elements by a
    product with a constant matrix.

    Args:
        nb_actions: How many numbers make an action.
        mode: 'full' or 'diag'.
        kwargs: Those of a Keras layer.

    Raises:
        UserError: There is no such mode, or an input has another number of elements.
    """

    def __init__(self, nb_actions: int, mode: str = "full", **kwargs: Any) -> None:
        if mode not in MODES:
            raise UserError(f"NAFLayer has the modes {' and '.join(MODES)}, not {mode!r}")
        keras.layers.Layer.__init__(self, **kwargs)  # past Keras-RL's, which sets attributes first
        self.nb_actions, self.mode = nb_actions, mode

    @property
    def nb_elements(self) -> int:
        """How many numbers L consists of."""
        return self.nb_actions if self.mode == "diag" else self.nb_actions * (self.nb_actions + 1) // 2

    def call(self, x: list[Any], mask: Any = None) -> Any:
        """Return the advantages."""
        elements, mu, action = x
        n = self.nb_actions
        away = action - mu
        if self.mode == "diag":
            return -0.5 * ops.sum(elements * ops.square(away), axis=-1, keepdims=True)
        rows, columns = np.tril_indices(n)
        is_diagonal = rows == columns
        # What is not on the diagonal must not reach exp(): its gradient would be inf * 0.
        positive = ops.exp(ops.where(is_diagonal, elements, 0.0)) + keras.backend.epsilon()
        elements = ops.where(is_diagonal, positive, elements)
        places = np.zeros((len(rows), n * n), "float32")
        places[np.arange(len(rows)), rows * n + columns] = 1.0
        lower = ops.reshape(ops.matmul(elements, ops.cast(places, elements.dtype)), (-1, n, n))
        projected = ops.sum(lower * ops.expand_dims(away, -1), axis=1)  # L' (a - mu)
        return -0.5 * ops.sum(ops.square(projected), axis=-1, keepdims=True)

    def compute_output_shape(self, input_shape: Any) -> tuple[Any, int]:
        """Return the shape of the advantages; raise `UserError` if the inputs do not fit."""
        if len(input_shape) != 3:
            raise UserError(f"NAFLayer has three inputs, L, mu and the action, not {len(input_shape)}")
        sizes = (self.nb_elements, self.nb_actions, self.nb_actions)
        for name, shape, size in zip(("L", "mu", "the action"), input_shape, sizes, strict=True):
            if tuple(shape[1:]) != (size,):
                raise UserError(
                    f"NAFLayer: {name} has shape {tuple(shape)}, but for {self.nb_actions} actions and the mode "
                    f"{self.mode!r} it has to be (None, {size})"
                )
        return input_shape[0][0], 1

    def build(self, input_shape: Any) -> None:
        """Check the inputs."""
        self.compute_output_shape(input_shape)

    def get_config(self) -> dict[str, Any]:
        """Return what Keras needs to copy the layer."""
        return {**keras.layers.Layer.get_config(self), "nb_actions": self.nb_actions, "mode": self.mode}
