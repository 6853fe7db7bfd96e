"""A network that learns: its weights, the target network beside it, its optimizer, and the state of all of them.

An agent has one for each of its networks. Its update is a function of tensors that calls their `forward`, `descend` and
`move_target`, and that `calls` compiles into a single TensorFlow call.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerasrl.errors import UserError, require_keras_3
from kerasrl.learning import device, flat_weights
from kerasrl.learning.compiled_call import CompiledCall, CompiledCalls
from kerasrl.learning.dense import OutputOfOne


def fresh(optimizer: Any) -> Any:
    """Return a Keras optimizer, named or given, that has not trained anything yet; raise what Keras raises."""
    require_keras_3(optimizer, "optimizer")
    optimizer = keras.optimizers.get(optimizer)
    if optimizer is None:
        raise ValueError("an optimizer is needed, such as Adam()")
    if optimizer.use_ema:
        raise ValueError("use_ema is not supported: this agent's moving average is its target network")
    # An optimizer's state belongs to one set of weights.
    return clone(optimizer) if optimizer.built else optimizer


def clone(optimizer: Any) -> Any:
    """Return another optimizer like a given one, which has not trained anything yet."""
    return type(optimizer).from_config(optimizer.get_config())


class Trainable:
    """A Keras model that learns, and the models of it that callers may hold and change.

    The weights of a small network are kept in one vector (see `flat_weights`); the model then lags behind until
    `synchronise`. Callers do not tell when they change a model's weights. So these are read from the model again before
    anything is computed if it has been handed out or written to since they were last read, and always outside `fit` and
    `test`, where time does not matter. `take_over` does that and comes before every call.

    Args:
        model, optimizer: Keras model, and its optimizer, not built yet (see `fresh`).
        has_target: Whether there is a target network, which starts as a copy of the online network.
        custom_objects: Classes by name, needed to copy a model that uses them.
        jit_compile: True or False, or 'auto': compile with XLA unless the model does not allow it.

    Attributes:
        model: The Keras model, which may lag behind; `online` brings it up to date.
        calls: Runs functions that use this network as compiled calls.
        nb_inputs: Number of the model's inputs.
        handed_out: 'online', 'target': the networks that a caller may have changed, or has, since they were last read.
        nb_changes: How often the weights have changed so far, apart from what `handed_out` says.
        is_in_loop: Whether `fit` or `test` is running.
        has_convolutions: Whether any of its weights have more than two dimensions.
    """

    def __init__(
        self,
        model: Any,
        optimizer: Any,
        *,
        has_target: bool = True,
        custom_objects: dict[str, Any] | None = None,
        jit_compile: bool | str = "auto",
    ) -> None:
        self.model, self.optimizer, self._custom_objects = model, optimizer, custom_objects
        self.calls = CompiledCalls(jit_compile)
        self.nb_inputs = len(keras.tree.flatten(model.inputs))
        self.has_convolutions = any(len(v.shape) > 2 for v in model.variables)
        self._shapes = [tuple(v.shape) for v in model.trainable_variables]
        self._is_vector = flat_weights.can_be_vector(model.trainable_variables, optimizer)
        if self._is_vector:
            self._online = [keras.Variable(flat_weights.joined(model.trainable_variables), name="weights")]
        else:
            self._online = list(model.trainable_variables)
        for variable in model.variables:
            variable.assign = functools.partial(self._write, variable)
        # The optimizer names its slots after the variables, so it is built once, for either kind.
        optimizer.build(self._online)
        self._copied = [*self._online, *_statistics(model)]  # what the target network has a copy of
        self._target = [tf.Variable(v.value, trainable=False) for v in self._copied if has_target]
        self._target_model: Any = None
        self.handed_out: set[str] = set()
        self.nb_changes = 0
        self.is_in_loop = False
        self._model_is_behind = False
        self._of_one: OutputOfOne | None = None
        if self._is_vector and self._online[0].dtype == "float32":
            self._of_one = OutputOfOne(
                model, self._online[0], lambda inputs: self.calls("output", self._output, [inputs])
            )
        if self._is_vector and not self.has_convolutions:
            device.note_if_slow()

    # Models that callers hold

    def online(self) -> Any:
        """Return the online network, brought up to date; what the caller changes in it takes effect."""
        self.synchronise()
        self.handed_out.add("online")
        return self.model

    def target(self) -> Any:
        """Return a copy of the target network; what the caller changes in it takes effect."""
        if self._target_model is None:
            with keras.saving.custom_object_scope(self._custom_objects):
                self._target_model = keras.models.clone_model(self.model)
            for variable in self._target_model.variables:
                variable.assign = functools.partial(self._write_target, variable)
        self._refresh_target()
        return self._target_model

    def _refresh_target(self) -> None:
        self.take_over()
        weights, statistics = self._target_values()
        variables = [*self._target_model.trainable_variables, *_statistics(self._target_model)]
        for variable, value in zip(variables, [*weights, *statistics], strict=True):
            type(variable).assign(variable, value)
        self.handed_out.add("target")

    def take_over(self) -> None:
        """Take over any changes that callers have made to the models they hold."""
        if not self.is_in_loop and not self._model_is_behind:
            self.handed_out.add("online")  # whoever holds the model may have changed it
        if self.handed_out:
            if "online" in self.handed_out:
                if self._is_vector:
                    self._read_model([])
                self.have_changed()
                self._model_is_behind = False
            if "target" in self.handed_out:
                weights = self._target_model.trainable_variables
                weights = [flat_weights.joined(weights)] if self._is_vector else weights
                self._set_target([*weights, *_statistics(self._target_model)])
            self.handed_out.clear()

    def synchronise(self) -> None:
        """Bring the online network up to date for whoever holds a reference to it."""
        if self._model_is_behind:
            self._write_model([])
            self._model_is_behind = False

    @functools.cached_property
    def _write_model(self) -> CompiledCall:
        return flat_weights.copying(self.weights, self.model.trainable_variables, bool(self.calls.jit_compile))

    @functools.cached_property
    def _read_model(self) -> CompiledCall:
        variables, jit_compile = self.model.trainable_variables, bool(self.calls.jit_compile)
        return flat_weights.copying(lambda: [flat_weights.joined(variables)], self._online, jit_compile)

    def _write(self, variable: Any, value: Any) -> Any:
        """Assign a value to one of the model's variables for somebody who holds the model, wherever they have it from.

        Whatever writes to a model does so by `assign`: set_weights, load_weights, a layer's own variables.
        """
        if tf.executing_eagerly():
            self.synchronise()  # first, so that the others are not written back as they were
            self.handed_out.add("online")
        return type(variable).assign(variable, value)

    def _write_target(self, variable: Any, value: Any) -> Any:
        """Do the same for one of the target network's."""
        if tf.executing_eagerly() and "target" not in self.handed_out:
            self._refresh_target()
        return type(variable).assign(variable, value)

    def have_changed(self) -> None:
        """Note that the weights have changed; to be called after each call with `descend`."""
        self.nb_changes += 1
        self._model_is_behind = self._is_vector
        if self._of_one:
            self._of_one.is_behind = True

    def copy_target(self) -> None:
        """Hard update: make the target network, if there is one, equal to the online network."""
        self.take_over()
        if self._target:
            self._set_target(self._copied)

    def _set_target(self, values: list[Any]) -> None:
        for target, value in zip(self._target, values, strict=True):
            target.assign(tf.convert_to_tensor(value))

    # State

    def _all_variables(self) -> list[Any]:
        return [*self._online, *self._target, *self.optimizer.variables, *self.model.non_trainable_variables]

    def get_state(self) -> list[np.ndarray]:
        """Return the values of all variables: networks, optimizer, generators of layers."""
        self.take_over()
        return [np.asarray(tf.convert_to_tensor(variable)) for variable in self._all_variables()]

    def set_state(self, state: list[np.ndarray]) -> None:
        """Continue from what `get_state` returned; `UserError` if that was another network or optimizer."""
        self.take_over()
        variables = self._all_variables()
        if [tuple(v.shape) for v in variables] != [array.shape for array in state]:
            raise UserError("the training state belongs to another network or another optimizer")
        for variable, value in zip(variables, state, strict=True):
            variable.assign(value)
        self.have_changed()

    # Calls

    def output(self, inputs: list[np.ndarray]) -> np.ndarray:
        """Return the online network's output [B, ...] for an array [B, ...] for each of its inputs."""
        self.take_over()
        if self._of_one and len(inputs) == 1 and len(inputs[0]) == 1 and inputs[0].dtype == np.float32:
            return self._of_one(inputs[0])
        return self.calls("output", self._output, inputs)

    def _output(self, *inputs: tf.Tensor) -> tf.Tensor:
        return self.forward(list(inputs))

    # Called while a function is being compiled

    def weights(self) -> list[tf.Tensor]:
        """Return the online network's weights, one tensor for each trainable variable of the model."""
        return self._split(self._online)

    def _split(self, variables: Sequence[Any]) -> list[tf.Tensor]:
        """Return the values of the online or the target weights in the shapes of the model's."""
        weights = [tf.convert_to_tensor(v) for v in variables]
        return flat_weights.split(weights[0], self._shapes) if self._is_vector else weights

    def _target_values(self, after: tf.Tensor | None = None) -> tuple[list[tf.Tensor], list[Any]]:
        """Return the target network's weights, as `weights` does, and its statistics."""
        nb_online = len(self._online)
        weights = self._split(self._target[:nb_online])
        if after is not None:
            weights = self.begun_after(after, weights)
        return weights, self._target[nb_online:]

    def _others(self, statistics: Sequence[Any] = ()) -> list[Any]:
        """Return the values of the variables that are not trained, with `statistics`, if given, in their places."""
        replaced = dict(zip(map(id, self._copied[len(self._online) :]), statistics, strict=False))
        return [tf.convert_to_tensor(replaced.get(id(v), v)) for v in self.model.non_trainable_variables]

    def forward(self, inputs: list[tf.Tensor]) -> tf.Tensor:
        """Return the online network's output [B, ...] for a tensor for each of its inputs."""
        return self._call(self.weights(), self._others(), inputs, False)[0]

    def forward_target(self, inputs: list[tf.Tensor], after: tf.Tensor | None = None) -> tf.Tensor:
        """Return the target network's output [B, ...] for a tensor for each input, begun when `after` is known."""
        weights, statistics = self._target_values(after)
        return self._call(weights, self._others(statistics), inputs, False)[0]

    def begun_after(self, value: tf.Tensor, weights: list[tf.Tensor]) -> list[tf.Tensor]:
        """Return the same weights, which are not read before `value` is known if that is faster."""
        return flat_weights.after(value, weights) if self._is_vector else weights

    def _call(
        self, weights: list[tf.Tensor], others: list[Any], inputs: list[tf.Tensor], training: bool
    ) -> tuple[tf.Tensor, list[tf.Tensor], list[tf.Tensor]]:
        """Return the output, the new values of the variables that are not trained, and additional losses."""
        expected = keras.tree.flatten(self.model.inputs)
        if [s.shape[1:].rank for s in inputs] != [len(i.shape) - 1 for i in expected] or not all(
            s.shape[1:].is_compatible_with(i.shape[1:]) for s, i in zip(inputs, expected, strict=True)
        ):
            raise UserError(
                f"the model takes states of shape {', '.join(str(tuple(i.shape[1:])) for i in expected)}, but "
                f"window_length and observations give {', '.join(str(tuple(s.shape[1:])) for s in inputs)}"
            )
        inputs = [tf.cast(s, i.dtype) for s, i in zip(inputs, expected, strict=True)]
        structured = keras.tree.pack_sequence_as(self.model.input, inputs)
        result: tuple[tf.Tensor, list[tf.Tensor], list[tf.Tensor]] = self.model.stateless_call(
            weights, others, structured, training=training, return_losses=True
        )
        return result

    def descend(
        self, inputs: list[tf.Tensor], loss_of: Callable[[tf.Tensor], tf.Tensor], weights: list[tf.Tensor] | None = None
    ) -> tf.Tensor:
        """Let the optimizer take one step down a loss; return that loss, with those of regularizers.

        Args:
            inputs: A tensor for each input of the model.
            loss_of: Returns the loss, a scalar, for the model's output in training.
            weights: What `weights` returned, if it was called earlier.
        """
        weights, others = self.weights() if weights is None else weights, self._others()
        with tf.GradientTape() as tape:
            tape.watch(weights)
            output, new_others, losses = self._call(weights, others, inputs, True)
            loss = tf.add_n([loss_of(output), *losses])
            scaled_loss = self.optimizer.scale_loss(loss)
        gradients = tape.gradient(scaled_loss, weights, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        if self._is_vector:
            with flat_weights.clipped(self.optimizer, gradients) as parts:
                self.optimizer.apply([flat_weights.joined(parts)], self._online)
        else:
            self.optimizer.apply(gradients, self._online)
        for variable, old, new in zip(self.model.non_trainable_variables, others, new_others, strict=True):
            if new is not old:
                variable.assign(new)
        return loss

    def move_target(self, tau: float) -> None:
        """Soft update of Lillicrap et al. 2015: target = tau * online + (1 - tau) * target."""
        for target, source in zip(self._target, self._copied, strict=True):
            target.assign(tau * tf.convert_to_tensor(source) + (1.0 - tau) * target)


def _statistics(model: Any) -> list[Any]:
    """Return the variables a target network has besides weights: normalisation's statistics, not generators' states."""
    return [v for v in model.non_trainable_variables if keras.backend.is_float_dtype(v.dtype)]
