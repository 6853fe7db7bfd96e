"""The dueling architecture: Q-values from a state's value and its actions' advantages."""

from typing import Any

import keras

from kerasrl.errors import UserError

TYPES = ("avg", "max", "naive")


@keras.saving.register_keras_serializable(package="kerasrl")
class Dueling(keras.layers.Layer):
    """Q(s, a) = V(s) + A(s, a) - baseline (Wang et al. 2016, arXiv 1511.06581, equations 7 to 9).

    Input [B, 1 + nb_actions], with the value first, as in Keras-RL; output [B, nb_actions]. The baseline is the mean of
    the advantages ('avg'), their maximum ('max') or 0 ('naive').
    """

    def __init__(self, dueling_type: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dueling_type = dueling_type

    def call(self, inputs: Any) -> Any:
        """Return the Q-values."""
        value, advantages = inputs[:, :1], inputs[:, 1:]
        if self.dueling_type == "avg":
            advantages = advantages - keras.ops.mean(advantages, axis=1, keepdims=True)
        elif self.dueling_type == "max":
            advantages = advantages - keras.ops.max(advantages, axis=1, keepdims=True)
        return value + advantages

    def get_config(self) -> dict[str, Any]:
        """Return what Keras needs to copy the layer."""
        return {**super().get_config(), "dueling_type": self.dueling_type}


def dueling_model(model: Any, dueling_type: str) -> Any:
    """Replace the last layer of `model` as Keras-RL does: Dense(nb_actions + 1), then `Dueling`."""
    if dueling_type not in TYPES:
        raise UserError(f"dueling_type must be one of {', '.join(TYPES)}, not {dueling_type!r}")
    streams = keras.layers.Dense(model.output.shape[-1] + 1)(model.layers[-2].output)
    return keras.Model(model.input, Dueling(dueling_type)(streams))
