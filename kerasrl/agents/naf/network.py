"""The three models of NAF as one network that learns: Q(s, a) = V(s) + A(s, a)."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from kerasrl.agents.naf.layer import NAFLayer
from kerasrl.errors import UserError
from kerasrl.learning import Trainable


class Models:
    """The models of V, L and mu, and the one that combines them.

    V and L take the inputs of mu in their order or, if they have the same names, by name; L's first input is the
    action.

    Args:
        v_model: Keras model from states to values [B, 1].
        l_model: Keras model from actions [B, nb_actions] and states to the elements of L (see `NAFLayer`).
        mu_model: Keras model from states to the best actions [B, nb_actions].
        nb_actions: How many numbers make an action.
        mode: That of `NAFLayer`.

    Attributes:
        combined: From actions and states to Q-values [B, 1], with the layers of Keras-RL's `combined_model`.
        all_outputs: From the same to Q-values, mu and V.

    Raises:
        UserError: The models do not go together.
    """

    def __init__(self, v_model: Any, l_model: Any, mu_model: Any, nb_actions: int, mode: str) -> None:
        layer = NAFLayer(nb_actions, mode=mode)
        for name, model, size in (("V", v_model, 1), ("L", l_model, layer.nb_elements), ("mu", mu_model, nb_actions)):
            if tuple(model.output.shape[1:]) != (size,):
                raise UserError(
                    f"the output of {name}_model has shape {model.output.shape}, but for {nb_actions} actions and "
                    f"covariance_mode {mode!r} it has to be (None, {size})"
                )
        own = keras.tree.flatten(mu_model.inputs)
        action = keras.Input((nb_actions,), name="action_input")
        states = [keras.Input(t.shape[1:], dtype=t.dtype, name=f"observation_input_{i}") for i, t in enumerate(own)]
        first, *others = keras.tree.flatten(l_model.inputs)
        if tuple(first.shape[1:]) != (nb_actions,):
            raise UserError(
                f"the first input of L_model has shape {first.shape}; it has to be the action, (None, {nb_actions})"
            )
        lower = _called(l_model, [action, *_arranged(states, own, others, "L")])
        mu = _called(mu_model, states)
        value = _called(v_model, _arranged(states, own, keras.tree.flatten(v_model.inputs), "V"))
        q_values = keras.layers.Add()([layer([lower, mu, action]), value])
        self.combined = keras.Model([action, *states], q_values)
        self.all_outputs = keras.Model([action, *states], [q_values, mu, value])


def _called(model: Any, inputs: list[Any]) -> Any:
    return model(keras.tree.pack_sequence_as(model.input, inputs))


def _arranged(states: list[Any], own: list[Any], others: list[Any], name: str) -> list[Any]:
    """Return the states, which have the names and shapes of `own`, as inputs like `others`."""
    names, other_names = [t.name for t in own], [t.name for t in others]
    if len(own) == len(others) and sorted(names) == sorted(other_names):
        states = [states[names.index(other)] for other in other_names]
    if [tuple(t.shape) for t in states] != [tuple(t.shape) for t in others]:
        raise UserError(
            f"{name}_model takes states of shape {', '.join(str(t.shape) for t in others)}, but mu_model of shape "
            f"{', '.join(str(t.shape) for t in own)}: all three must take the same observation"
        )
    return states


class NAFNetwork(Trainable):
    """The combined network, seen as one from states to the best actions.

    Its output is mu, that of its target network V; it learns Q, whose inputs are actions [n, nb_actions] and states.
    """

    def __init__(self, models: Models, optimizer: Any, nb_actions: int, **options: Any) -> None:
        super().__init__(models.all_outputs, optimizer, **options)
        self.nb_inputs -= 1  # those for the states
        self._nb_actions = nb_actions

    def forward(self, inputs: list[tf.Tensor]) -> tf.Tensor:
        """Return the best actions [n, nb_actions] in states, a tensor for each input."""
        return self._call(self.weights(), self._others(), self._with_actions(inputs), False)[0][1]

    def forward_target(self, inputs: list[tf.Tensor], after: tf.Tensor | None = None) -> tf.Tensor:
        """Return the target network's values [n, 1] of states, a tensor for each input."""
        weights, statistics = self._target_values(after)
        return self._call(weights, self._others(statistics), self._with_actions(inputs), False)[0][2]

    def _with_actions(self, states: list[tf.Tensor]) -> list[tf.Tensor]:
        """Return inputs for mu and V, which do not depend on the action."""
        return [tf.zeros([states[0].shape[0], self._nb_actions]), *states]

    def descend(
        self, inputs: list[tf.Tensor], loss_of: Callable[[tf.Tensor], tf.Tensor], weights: list[tf.Tensor] | None = None
    ) -> tf.Tensor:
        """Take a step down a loss of the Q-values [n, 1] of actions and states, as `Trainable.descend` does."""

        def loss_of_first(outputs: Sequence[tf.Tensor]) -> tf.Tensor:
            return loss_of(outputs[0])

        return super().descend(inputs, loss_of_first, weights)
